/** A byte-level BPE tokenizer as Hugging Face's tokenizers read it: tokenizer.json and tokenizer_config.json. */
import type { TokenizerState } from "./tokenizer.js";

/** What ends a turn, and what fills up a batch. */
export interface TokenRoles {
  readonly end: string;
  readonly padding: string;
}

export function tokenizerFiles(state: TokenizerState, roles: TokenRoles, chatTemplate: string): Readonly<Record<string, object>> {
  return languageFiles(tokenizerJson(state), roles, chatTemplate);
}

/** @param tokens further special tokens by the names that the template has for them: `bos_token` */
export function languageFiles(
  tokenizer: object,
  roles: TokenRoles,
  chatTemplate: string,
  tokens: Readonly<Record<string, string>> = {},
): Readonly<Record<string, object>> {
  return {
    "tokenizer.json": tokenizer,
    "tokenizer_config.json": {
      tokenizer_class: "PreTrainedTokenizerFast",
      bos_token: null,
      ...tokens,
      eos_token: roles.end,
      pad_token: roles.padding,
      unk_token: null,
      add_bos_token: false,
      add_eos_token: false,
      add_prefix_space: false,
      clean_up_tokenization_spaces: false,
      chat_template: chatTemplate,
    },
  };
}

function tokenizerJson({ tokens, merges, special, pattern }: TokenizerState): object {
  const isSpecial = new Set(special);
  const written = tokens.map((token, id) => (isSpecial.has(id) ? token : visible(token)));
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: special.map((id) => ({
      id,
      content: tokens[id],
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [{ type: "Split", pattern: { Regex: spelledOut(pattern) }, behavior: "Isolated", invert: false }, byteLevel],
    },
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(written.map((token, id) => [token, id])),
      merges: merges.map(([left, right]) => [written[left], written[right]]),
    },
  };
}

/** GPT-2's way to write bytes as characters that can be seen: printable ones stand for themselves, the others for U+0100 and on. */
export const visibleBytes: readonly string[] = (() => {
  const printable = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
})();

function visible(bytes: string): string {
  return Array.from({ length: bytes.length }, (_, i) => visibleBytes[bytes.charCodeAt(i)]).join("");
}

/** What `\s` is in JavaScript (ECMA-262, WhiteSpace and LineTerminator); the tokenizers' own counts U+0085 too, and not U+FEFF. */
const whiteSpace = "\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff";

/** The same regular expression, in what both engines read alike. */
function spelledOut(pattern: string): string {
  return pattern
    .replaceAll(String.raw`[^\s`, `[^${whiteSpace}`)
    .replaceAll(String.raw`\s`, `[${whiteSpace}]`)
    .replaceAll(String.raw`\S`, `[^${whiteSpace}]`);
}
