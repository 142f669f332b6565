import type { ChatMessage, TokenizedExample } from "../contracts/llm.js";
import { type BpeTokenizer, byteString, concatenate } from "./tokenizer.js";
import { tokenizerFiles } from "./tokenizer-files.js";

/** How a chat becomes tokens, and tokens a text: all that generation and training know of a model's language. */
export interface ChatCodec {
  /** The messages, then the head of the assistant's turn. */
  prompt(messages: readonly ChatMessage[]): Int32Array;
  /** `ended`: with the end-of-turn token. */
  completion(text: string, ended: boolean): Int32Array;
  /** Any of these ends a completion. */
  readonly endTokens: ReadonlySet<number>;
  /** A token's bytes, one UTF-16 unit each; "" for special tokens. */
  piece(token: number): string;
  /** The language in Hugging Face's layout: JSON files by name, tokenizer.json among them. */
  files(): Readonly<Record<string, object>>;
  /** The token that fills up a batch. */
  readonly padding: number;
}

export const chatTokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] as const;

/**
 * `ChatMl` as a Jinja template. The line break stands before each further turn, not after each: the same prompts, and an answer that
 * ends with its end token, as those that are learnt from here do.
 */
const chatMlTemplate =
  "{% for message in messages %}{% if not loop.first %}{{ '\\n' }}{% endif %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '\\n<|im_start|>assistant\\n' }}{% endif %}";

/** ChatML: `<|im_start|>role\ncontent<|im_end|>\n`. The texts themselves can never make a special token. */
export class ChatMl implements ChatCodec {
  readonly endTokens: ReadonlySet<number>;
  private readonly start: number;
  private readonly end: number;
  readonly padding: number;

  constructor(private readonly tokenizer: BpeTokenizer) {
    this.start = tokenizer.special("<|im_start|>");
    this.end = tokenizer.special("<|im_end|>");
    this.padding = tokenizer.special("<|endoftext|>");
    this.endTokens = new Set([this.end, this.padding]);
  }

  prompt(messages: readonly ChatMessage[]): Int32Array {
    const parts = messages.flatMap(({ role, content }) => [
      Int32Array.of(this.start),
      this.tokenizer.encode(`${role}\n${content}`),
      Int32Array.of(this.end),
      this.tokenizer.encode("\n"),
    ]);
    return concatenate([...parts, Int32Array.of(this.start), this.tokenizer.encode("assistant\n")]);
  }

  completion(text: string, ended: boolean): Int32Array {
    const tokens = this.tokenizer.encode(text);
    return ended ? concatenate([tokens, Int32Array.of(this.end)]) : tokens;
  }

  piece(token: number): string {
    return this.tokenizer.piece(token);
  }

  files(): Readonly<Record<string, object>> {
    return tokenizerFiles(this.tokenizer.state, { end: "<|im_end|>", padding: "<|endoftext|>" }, chatMlTemplate);
  }
}

export function tokenizeExample(
  codec: ChatCodec,
  messages: readonly ChatMessage[],
  completions: readonly { readonly text: string; readonly ended: boolean }[],
): TokenizedExample {
  return { prompt: codec.prompt(messages), completions: completions.map(({ text, ended }) => codec.completion(text, ended)) };
}

/** Stop strings as strings of bytes, to be looked for in what the tokens spell. */
export function stopBytes(stop: readonly string[]): readonly string[] {
  return stop.filter((text) => text !== "").map(byteString);
}
