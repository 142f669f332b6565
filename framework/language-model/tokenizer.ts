import { MinHeap } from "./heap.js";

/**
 * Words, numbers, signs and spaces, every character in exactly one piece. As GPT-2's, but a sign takes the space after it too: "Drama" is the
 * same token in "[Drama]", "Genre: Drama" and "War, Drama", so that a small model can copy it.
 */
export const wordPattern = String.raw` ?[^\s\p{L}\p{N}]+ ?| ?\p{L}+| ?\p{N}+|\s+(?!\S)|\s+`;

/** All that a byte-level BPE tokenizer is; plain JSON. */
export interface TokenizerState {
  /** Regular expression (flags `gu`) that cuts a text into the pieces that merges stay within. */
  readonly pattern: string;
  /** Token by id: a string of bytes (one UTF-16 unit a byte), or a special token's name. */
  readonly tokens: readonly string[];
  /** Pairs of ids in the order they were merged, and what they became. */
  readonly merges: readonly (readonly [left: number, right: number, merged: number])[];
  /** Ids of tokens that no text is ever encoded to. */
  readonly special: readonly number[];
}

const utf8 = new TextEncoder();
// A byte order mark is a character like any other: it comes back too.
const fromUtf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** A text as a string of its UTF-8 bytes. */
export function byteString(text: string): string {
  return Buffer.from(utf8.encode(text)).toString("latin1");
}

/** Byte-level BPE (Sennrich et al. 2016, arXiv 1508.07909; Radford et al. 2019): every text can be encoded, and comes back the same. */
export class BpeTokenizer {
  private readonly pattern: RegExp;
  private readonly bytes = new Int32Array(256).fill(-1);
  /** left * vocabulary + right -> [rank, merged] */
  private readonly merges = new Map<number, readonly [rank: number, merged: number]>();
  private readonly isSpecial: ReadonlySet<number>;
  private readonly words = new Map<string, Int32Array>();

  constructor(readonly state: TokenizerState) {
    this.pattern = new RegExp(state.pattern, "gu");
    this.isSpecial = new Set(state.special);
    state.tokens.forEach((token, id) => {
      if (token.length === 1 && !this.isSpecial.has(id)) this.bytes[token.charCodeAt(0)] = id;
    });
    state.merges.forEach(([left, right, merged], rank) => {
      this.merges.set(left * state.tokens.length + right, [rank, merged]);
    });
  }

  get vocabulary(): number {
    return this.state.tokens.length;
  }

  /** Id of a special token. */
  special(name: string): number {
    const id = this.state.special.find((candidate) => this.state.tokens[candidate] === name);
    if (id === undefined) throw new Error(`the tokenizer has no special token ${name}`);
    return id;
  }

  /** Never gives a special token: a text that spells one is encoded as the characters it is. */
  encode(text: string): Int32Array {
    const pieces: Int32Array[] = [];
    for (const [word] of text.matchAll(this.pattern)) pieces.push(this.word(word));
    return concatenate(pieces);
  }

  /** Special tokens are left out; bytes that are not UTF-8 (a text cut inside a character) become U+FFFD. */
  decode(ids: ArrayLike<number>): string {
    let bytes = "";
    for (let i = 0; i < ids.length; i++) bytes += this.piece(ids[i] as number);
    return decodeBytes(bytes);
  }

  /** A token's bytes, "" for a special one. */
  piece(id: number): string {
    return this.isSpecial.has(id) ? "" : (this.state.tokens[id] ?? "");
  }

  private word(word: string): Int32Array {
    const known = this.words.get(word);
    if (known !== undefined) return known;
    const ids = this.merge(Int32Array.from(utf8.encode(word), (byte) => this.bytes[byte] as number));
    if (word.length <= 32 && this.words.size < 100_000) this.words.set(word, ids);
    return ids;
  }

  /** Applies the merges in order of rank, the leftmost first: a heap over a linked list, so that long pieces stay cheap. */
  private merge(ids: Int32Array): Int32Array {
    const size = this.vocabulary;
    const next = Int32Array.from(ids, (_, i) => i + 1);
    const previous = Int32Array.from(ids, (_, i) => i - 1);
    const heap = new MinHeap<Candidate>((a, b) => a.rank - b.rank || a.at - b.at);
    const consider = (at: number): void => {
      const right = next[at] as number;
      if (at < 0 || right >= ids.length) return;
      const merge = this.merges.get((ids[at] as number) * size + (ids[right] as number));
      if (merge !== undefined) heap.push({ rank: merge[0], merged: merge[1], at, left: ids[at] as number, right: ids[right] as number });
    };
    for (let at = 0; at < ids.length; at++) consider(at);
    for (let best = heap.pop(); best !== undefined; best = heap.pop()) {
      const { at, merged } = best;
      const after = next[at] as number;
      if (ids[at] !== best.left || after >= ids.length || ids[after] !== best.right) continue; // one of the two was merged meanwhile
      ids[at] = merged;
      ids[after] = -1;
      next[at] = next[after] as number;
      if ((next[at] as number) < ids.length) previous[next[at] as number] = at;
      consider(at);
      consider(previous[at] as number);
    }
    return ids.filter((id) => id >= 0);
  }
}

interface Candidate {
  readonly rank: number;
  readonly merged: number;
  readonly at: number;
  readonly left: number;
  readonly right: number;
}

/** Text of a string of UTF-8 bytes. */
export function decodeBytes(bytes: string): string {
  return fromUtf8.decode(Buffer.from(bytes, "latin1"));
}

export function concatenate(parts: readonly Int32Array[]): Int32Array {
  const joined = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
