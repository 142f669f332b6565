import { Tokenizer } from "@huggingface/tokenizers";
import { byteString } from "../tokenizer.js";
import { visibleBytes } from "../tokenizer-files.js";
import { brokenCheckpoint, unsupportedTokenizer } from "./faults.js";
import { type AddedToken, exactSteps, type TokenizerJson } from "./tokenizer-json.js";

/** A published byte-level BPE tokenizer, computed by @huggingface/tokenizers. Texts never become special tokens. */
export class TextTokenizer {
  /** By what they look like in a chat template. */
  readonly special: ReadonlyMap<string, AddedToken>;
  private readonly tokenizer: Tokenizer;
  private readonly pieces = new Map<number, string>();
  private readonly specialIds: ReadonlySet<number>;

  /** @throws RLRF_CHECKPOINT_BROKEN, RLRF_CHECKPOINT_UNSUPPORTED */
  constructor(
    where: string,
    readonly json: TokenizerJson,
  ) {
    checkForm(where, json);
    const special = json.added_tokens.filter((token) => token.special);
    this.special = new Map(special.map((token) => [token.content, token]));
    this.specialIds = new Set(special.map(({ id }) => id));
    const plain = json.added_tokens.filter((token) => !token.special);
    try {
      const pre_tokenizer = exactSteps(json.pre_tokenizer);
      // Special tokens are left out, so that no text can spell one; what frames a text is the chat template's to write.
      this.tokenizer = new Tokenizer({ ...json, added_tokens: plain, pre_tokenizer, post_processor: null }, {});
    } catch (cause) {
      throw brokenCheckpoint(where, `its tokenizer cannot be used: ${(cause as Error).message}`, undefined, cause);
    }
    leaveOut(this.tokenizer, lostBytes(json));
    for (const [token, id] of Object.entries(json.model.vocab)) this.pieces.set(id, bytesOf(token));
    for (const { id, content } of plain) this.pieces.set(id, byteString(content));
    for (const id of this.specialIds) this.pieces.set(id, "");
  }

  encode(text: string): Int32Array {
    if (text === "") return new Int32Array();
    const { ids, tokens } = this.tokenizer.encode(text) as { readonly ids: readonly number[]; readonly tokens: readonly string[] };
    if (!ids.some((id) => this.specialIds.has(id))) return Int32Array.from(ids);
    // Merges have spelled a special token: its bytes stand for it.
    return Int32Array.from(ids.flatMap((id, i) => (this.specialIds.has(id) ? this.spelled(tokens[i] as string) : [id])));
  }

  /** Bytes that the vocabulary has no token for are left out, as everywhere in a text. */
  private spelled(token: string): readonly number[] {
    return Array.from(token, (byte) => this.tokenizer.token_to_id(byte)).filter((id): id is number => id !== undefined);
  }

  /** A token's bytes, one UTF-16 unit each; "" for special tokens and numbers that no token has. */
  piece(id: number): string {
    return this.pieces.get(id) ?? "";
  }
}

const byteOf: ReadonlyMap<string, string> = new Map(visibleBytes.map((token, byte) => [token, String.fromCharCode(byte)]));

function bytesOf(token: string): string {
  let bytes = "";
  for (const character of token) bytes += byteOf.get(character) ?? byteString(character);
  return bytes;
}

/** Bytes that the vocabulary has no token for: SmolLM2's lacks some control characters. */
function lostBytes({ model }: TokenizerJson): ReadonlySet<string> {
  return new Set(visibleBytes.filter((token) => !Object.hasOwn(model.vocab, token)));
}

/** As the Rust library does: what has no token is gone before merges apply, so that they reach across it. */
function leaveOut(tokenizer: Tokenizer, lost: ReadonlySet<string>): void {
  if (lost.size === 0) return;
  const model = tokenizer.model as unknown as { encode(words: readonly string[]): string[] };
  const encode = model.encode.bind(model);
  model.encode = (words) => encode(words.map((word) => Array.from(word, (byte) => (lost.has(byte) ? "" : byte)).join("")));
}

function checkForm(where: string, { model, decoder, normalizer, added_tokens: added }: TokenizerJson): void {
  if (model.type !== "BPE" || decoder?.type !== "ByteLevel")
    throw unsupportedTokenizer(where, `its tokenizer is ${model.type} with the decoder ${decoder?.type ?? "none"}`, "byte-level BPE");
  if (normalizer !== null && normalizer.type !== "NFC")
    throw unsupportedTokenizer(where, `its tokenizer changes texts by ${normalizer.type}`, "NFC, or no normaliser");
  const single = added.find((token) => token.single_word === true);
  if (single !== undefined)
    throw unsupportedTokenizer(where, `token ${single.content} stands for whole words only`, "tokens without single_word");
}
