import { byteString, wordPattern, type TokenizerState } from "./tokenizer.js";

export interface BpeTraining {
  /** Tokens in all: special ones, the 256 bytes and the merges; fewer when the texts have no pairs left. */
  readonly vocabulary: number;
  readonly special: readonly string[];
}

interface Word {
  ids: number[];
  readonly count: number;
}

/**
 * Learns the merges of byte-level BPE: the most frequent pair of neighbours becomes a token, over and over.
 * Deterministic: words are counted, so the texts' order does not matter, and of equally frequent pairs the one with the smaller ids wins.
 */
export function trainBpe(texts: Iterable<string>, { vocabulary, special }: BpeTraining): TokenizerState {
  const tokens = [...special, ...Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte))];
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const words = countWords(texts, special.length);
  const pairs = new PairCounts(words, vocabulary);
  const merges: [number, number, number][] = [];
  const learnt = new Set<string>();
  while (tokens.length < vocabulary) {
    const best = pairs.best();
    if (best === undefined) break;
    const token = `${tokens[best.left]}${tokens[best.right]}`;
    const merged = ids.get(token) ?? tokens.length; // "a" + "bc" after "ab" + "c" is the same token: published vocabularies have each once
    if (merged === tokens.length) ids.set(token, tokens.push(token) - 1);
    const pair = `${best.left} ${best.right}`;
    if (!learnt.has(pair)) merges.push([best.left, best.right, merged]); // a reused token can bring an old pair back
    learnt.add(pair);
    pairs.merge(best, merged);
  }
  return { pattern: wordPattern, tokens, merges, special: special.map((_, id) => id) };
}

function countWords(texts: Iterable<string>, firstByte: number): Word[] {
  const counts = new Map<string, number>();
  const pattern = new RegExp(wordPattern, "gu");
  for (const text of texts) for (const [word] of text.matchAll(pattern)) counts.set(word, (counts.get(word) ?? 0) + 1);
  const sorted = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
  return sorted.map(([word, count]) => ({ ids: Array.from(byteString(word), (byte) => byte.charCodeAt(0) + firstByte), count }));
}

interface Pair {
  readonly left: number;
  readonly right: number;
}

/** How often each pair of neighbours occurs, kept up to date as pairs are merged. */
class PairCounts {
  private readonly counts = new Map<number, number>();
  /** Words in which a pair occurs or did. */
  private readonly where = new Map<number, Set<Word>>();

  constructor(
    words: readonly Word[],
    private readonly vocabulary: number,
  ) {
    for (const word of words) this.add(word, 1);
  }

  private add(word: Word, sign: 1 | -1): void {
    for (let i = 0; i + 1 < word.ids.length; i++) {
      const key = (word.ids[i] as number) * this.vocabulary + (word.ids[i + 1] as number);
      this.counts.set(key, (this.counts.get(key) ?? 0) + sign * word.count);
      const words = this.where.get(key);
      if (words === undefined) this.where.set(key, new Set([word]));
      else words.add(word);
    }
  }

  /** The most frequent pair that occurs at least twice. */
  best(): Pair | undefined {
    let bestKey = -1;
    let bestCount = 1;
    for (const [key, count] of this.counts) {
      if (count > bestCount || (count === bestCount && count > 1 && key < bestKey)) {
        bestKey = key;
        bestCount = count;
      }
    }
    return bestKey < 0 ? undefined : { left: Math.floor(bestKey / this.vocabulary), right: bestKey % this.vocabulary };
  }

  merge({ left, right }: Pair, merged: number): void {
    const key = left * this.vocabulary + right;
    for (const word of this.where.get(key) ?? []) {
      this.add(word, -1);
      word.ids = mergePair(word.ids, left, right, merged);
      this.add(word, 1);
    }
    this.counts.delete(key);
    this.where.delete(key);
  }
}

function mergePair(ids: readonly number[], left: number, right: number, merged: number): number[] {
  const result: number[] = [];
  for (let i = 0; i < ids.length; i++) {
    if (ids[i] === left && ids[i + 1] === right) {
      result.push(merged);
      i++;
    } else result.push(ids[i] as number);
  }
  return result;
}
