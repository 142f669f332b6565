/** Hugging Face's tokenizer.json: the one form in which tokenizers are used here, and what a GGUF vocabulary is made into. */
import { brokenCheckpoint, quoted, unsupportedTokenizer } from "./faults.js";
import type { GgufMetadata } from "./gguf-metadata.js";

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** No text is ever encoded to it. */
  readonly special: boolean;
  readonly single_word?: boolean;
  readonly lstrip?: boolean;
  readonly rstrip?: boolean;
  readonly normalized?: boolean;
}

/** One step of a pipeline (normaliser, pre-tokenizer, decoder), as the file describes it. */
export interface Step {
  readonly type: string;
  readonly [option: string]: unknown;
}

export interface TokenizerJson {
  readonly version: string;
  readonly added_tokens: readonly AddedToken[];
  readonly normalizer: Step | null;
  readonly pre_tokenizer: Step | null;
  readonly post_processor: Step | null;
  readonly decoder: Step | null;
  readonly model: {
    readonly type: string;
    readonly vocab: Readonly<Record<string, number>>;
    readonly merges: readonly (string | readonly [string, string])[];
    readonly [option: string]: unknown;
  };
}

const gpt2 = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;
/** Llama 3's; Qwen 2's differs in how many digits stay together. */
const llama3 = (digits: string) =>
  String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|${digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
const split = (pattern: string): Step => ({ type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false });
const toBytes: Step = { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false };

/** What cuts a text into pieces before merges apply, by GGUF's name for it (`tokenizer.ggml.pre`). */
const preTokenizers: Readonly<
  Record<string, { readonly cuts: readonly Step[]; readonly normalizer?: Step; readonly ignoreMerges?: boolean }>
> = {
  "gpt-2": { cuts: [split(gpt2)] },
  smollm: { cuts: [split(String.raw`\p{N}`), split(gpt2)] },
  "llama-bpe": { cuts: [split(llama3(String.raw`\p{N}{1,3}`))], ignoreMerges: true },
  qwen2: { cuts: [split(llama3(String.raw`\p{N}`))], normalizer: { type: "NFC" } },
};

/** GGUF's kinds of tokens that are not ordinary ones. */
const [control, userDefined] = [3, 4];

/** @throws RLRF_CHECKPOINT_BROKEN, RLRF_CHECKPOINT_UNSUPPORTED */
export function tokenizerOfGguf(metadata: GgufMetadata): TokenizerJson {
  const { path: where } = metadata;
  const model = metadata.text("tokenizer.ggml.model");
  if (model !== "gpt2")
    throw unsupportedTokenizer(where, `its tokenizer is ${quoted(model)}`, 'byte-level BPE (tokenizer.ggml.model "gpt2")');
  const pre = metadata.text("tokenizer.ggml.pre");
  const known = pre !== undefined && Object.hasOwn(preTokenizers, pre) ? preTokenizers[pre] : undefined;
  if (known === undefined) throw unsupportedTokenizer(where, `its pre-tokenizer is ${quoted(pre)}`, Object.keys(preTokenizers).join(", "));
  const tokens = metadata.texts("tokenizer.ggml.tokens");
  const types = metadata.int32s("tokenizer.ggml.token_type");
  if (types.length !== tokens.length)
    throw brokenCheckpoint(where, `tokenizer.ggml.token_type tells of ${types.length} tokens`, `of ${tokens.length}`);
  const vocab = vocabularyOf(where, tokens);
  const added = tokens.flatMap((content, id): AddedToken[] => {
    if (types[id] !== control && types[id] !== userDefined) return [];
    // Where the file is read by others, none of these may be missing.
    return [{ id, content, special: types[id] === control, single_word: false, lstrip: false, rstrip: false, normalized: false }];
  });
  return {
    version: "1.0",
    added_tokens: added,
    normalizer: known.normalizer ?? null,
    pre_tokenizer: { type: "Sequence", pretokenizers: [...known.cuts, toBytes] },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: known.ignoreMerges ?? false,
      vocab,
      merges: metadata.texts("tokenizer.ggml.merges").map((merge) => pairOf(where, merge)),
    },
  };
}

function vocabularyOf(where: string, tokens: readonly string[]): Readonly<Record<string, number>> {
  const ids = new Map<string, number>();
  tokens.forEach((token, id) => {
    if (ids.has(token)) throw brokenCheckpoint(where, `token ${id} is token ${ids.get(token)} once more: ${quoted(token)}`);
    ids.set(token, id);
  });
  // fromEntries defines properties: a token "__proto__" is one like any other.
  return Object.fromEntries(ids);
}

/** "Ġ t": the space that divides them is the only one, for byte-level tokens have none of their own. */
function pairOf(where: string, merge: string): readonly [string, string] {
  const [left, right, more] = merge.split(" ");
  if (left && right && more === undefined) return [left, right];
  throw brokenCheckpoint(where, `a merge is ${quoted(merge)}`, "two tokens with a space between them");
}

/**
 * The same pipeline in steps that the JavaScript library cuts exactly as the original one: its own byte-level pattern and its digits
 * follow JavaScript's ideas of space and digit, while patterns of `Split` follow Unicode's.
 */
export function exactSteps(step: Step | null): Step | null {
  if (step === null) return null;
  if (step.type === "Sequence" && Array.isArray(step.pretokenizers))
    return { ...step, pretokenizers: (step.pretokenizers as Step[]).map(exactSteps) };
  if (step.type === "Digits") return split(step.individual_digits === true ? String.raw`\p{N}` : String.raw`\p{N}+`);
  if (step.type === "ByteLevel" && step.use_regex !== false && step.add_prefix_space === false)
    return { type: "Sequence", pretokenizers: [split(gpt2), { ...step, use_regex: false }] };
  return step;
}
