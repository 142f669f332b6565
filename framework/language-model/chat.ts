import type { ChatMessage, TokenizedExample } from "../contracts/llm.js";
import { RlrfError } from "../errors.js";
import type { ChatTemplate } from "./checkpoint/chat-template.js";
import type { TextTokenizer } from "./checkpoint/text-tokenizer.js";
import type { AddedToken } from "./checkpoint/tokenizer-json.js";
import { type BpeTokenizer, byteString, concatenate } from "./tokenizer.js";
import { languageFiles, tokenizerFiles } from "./tokenizer-files.js";

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

/** The chat form that a checkpoint brings: its template and its tokenizer. The texts themselves can never make a special token. */
export class TemplateChat implements ChatCodec {
  readonly endTokens: ReadonlySet<number>;
  private readonly endOfTurn: number;
  readonly padding: number;
  /** Finds special tokens, of several that begin at one place the longest. */
  private readonly special: RegExp;
  private readonly beginnings: ReadonlySet<string>;

  /** @param endTokens that the checkpoint names, the usual one first @throws RLRF_CHAT_TEMPLATE when nothing ends the assistant's turn */
  constructor(
    private readonly tokenizer: TextTokenizer,
    private readonly template: ChatTemplate,
    endTokens: readonly number[],
  ) {
    const names = [...tokenizer.special.keys()].sort((a, b) => b.length - a.length);
    this.beginnings = new Set(names.map((name) => name[0] as string));
    this.special = new RegExp(names.map((name) => name.replace(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`)).join("|") || "(?!)", "g");
    const endOfTurn = this.afterAnswer() ?? endTokens[0];
    if (endOfTurn === undefined)
      throw new RlrfError("RLRF_CHAT_TEMPLATE", {
        message: "neither the chat template nor the checkpoint names a token at which an answer ends",
        where: template.where,
      });
    this.endOfTurn = endOfTurn;
    this.endTokens = new Set([endOfTurn, ...endTokens]);
    this.padding = tokenizer.special.get(template.variables.pad_token ?? "")?.id ?? endOfTurn;
  }

  files(): Readonly<Record<string, object>> {
    const named = (id: number) => [...this.tokenizer.special.values()].find((token) => token.id === id)?.content ?? "";
    const roles = { end: named(this.endOfTurn), padding: named(this.padding) };
    return languageFiles(this.tokenizer.json, roles, this.template.source, this.template.variables);
  }

  prompt(messages: readonly ChatMessage[]): Int32Array {
    const marker = unusedCharacter([this.template.source, ...messages.map(({ content }) => content)]);
    const disguised = messages.map(({ role, content }) => ({ role, content: this.disguise(content, marker) }));
    return this.encode(this.template.render(disguised, true), marker);
  }

  completion(text: string, ended: boolean): Int32Array {
    const tokens = this.tokenizer.encode(text);
    return ended ? concatenate([tokens, Int32Array.of(this.endOfTurn)]) : tokens;
  }

  piece(token: number): string {
    return this.tokenizer.piece(token);
  }

  /** The special token that the template puts after an answer. */
  private afterAnswer(): number | undefined {
    const answer = unusedCharacter([this.template.source]);
    const whole = this.template.render([{ role: "user", content: "?" }, { role: "assistant", content: answer }], false); // biome-ignore format: one line
    const [name] = whole.slice(whole.indexOf(answer)).match(this.special) ?? [];
    return this.tokenizer.special.get(name ?? "")?.id;
  }

  /** Special tokens stand for themselves; whatever lies between two of them is one text, wherever in it the template ends and a message begins. */
  private encode(rendered: string, marker: string): Int32Array {
    const parts: Int32Array[] = [];
    let from = 0;
    let strip = false;
    const text = (to: number, lstrip = false) => {
      const whole = rendered.slice(from, to).replaceAll(marker, "");
      const left = strip ? whole.trimStart() : whole;
      parts.push(this.tokenizer.encode(lstrip ? left.trimEnd() : left));
    };
    for (const { 0: name, index } of rendered.matchAll(this.special)) {
      const token = this.tokenizer.special.get(name) as AddedToken; // the expression finds no other names
      text(index, token.lstrip);
      parts.push(Int32Array.of(token.id));
      from = index + name.length;
      strip = token.rstrip ?? false;
    }
    text(rendered.length);
    return concatenate(parts);
  }

  /** Puts the marker into every special token that a text spells, and into one that it ends within: the template could complete it. */
  private disguise(text: string, marker: string): string {
    let disguised = "";
    for (let at = 0; at < text.length; at++) disguised += this.beginsSpecial(text, at) ? text[at] + marker : text[at];
    return disguised;
  }

  private beginsSpecial(text: string, at: number): boolean {
    if (!this.beginnings.has(text[at] as string)) return false;
    const rest = text.slice(at, at + 256).trimEnd();
    return [...this.tokenizer.special.keys()].some(
      (name) => text.startsWith(name, at) || (at + rest.length >= text.trimEnd().length && name.startsWith(rest)),
    );
  }
}

/** A character for private use that none of the texts has: it can be taken out again without a trace. */
function unusedCharacter(texts: readonly string[]): string {
  for (let code = 0xe000; code < 0xf8ff; code++) {
    const character = String.fromCharCode(code);
    if (!texts.some((text) => text.includes(character))) return character;
  }
  throw new RlrfError("RLRF_CHAT_TEMPLATE", { message: "the messages hold every character that Unicode keeps for private use" });
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
