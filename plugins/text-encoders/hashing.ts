import { options, plugin, type TextEncoder } from "rlrf4rec";

interface HashingOptions {
  readonly width: number;
  readonly words: number;
  readonly characters: readonly [number, number];
}

@plugin({
  kind: "text-encoder",
  name: "hashing",
  version: "1.0.0",
  summary: "Signed feature hashing of words and character n-grams; nothing to download",
  source: "Weinberger et al. 2009, arXiv 0902.2206, eq. 1",
  options: {
    type: "object",
    properties: {
      width: { type: "integer", minimum: 8, maximum: 65536, default: 384, description: "Numbers a vector" },
      words: { type: "integer", minimum: 1, maximum: 5, default: 1, unit: "words", description: "Longest word n-gram" },
      characters: {
        type: "array",
        items: { type: "integer", minimum: 0, maximum: 8 },
        minItems: 2,
        maxItems: 2,
        ascending: true,
        default: [3, 4],
        unit: "characters",
        description: "Shortest and longest character n-gram of a word; [0, 0] turns them off",
      },
    },
  },
})
export class Hashing implements TextEncoder {
  constructor(@options() private readonly options: HashingOptions) {}

  async encode(texts: readonly string[]): Promise<{ readonly width: number; readonly vectors: Float32Array }> {
    const { width } = this.options;
    const vectors = new Float32Array(texts.length * width);
    for (const [row, text] of texts.entries()) this.fill(vectors.subarray(row * width, (row + 1) * width), text);
    return { width, vectors };
  }

  private fill(vector: Float32Array, text: string): void {
    for (const [feature, weight] of this.features(text)) {
      const hash = hashOf(feature);
      // The top bit signs, the others choose: colliding features cancel in expectation (eq. 1).
      const bucket = (hash & 0x7fffffff) % vector.length;
      vector[bucket] = (vector[bucket] ?? 0) + (hash >>> 31 === 0 ? weight : -weight);
    }
    const norm = Math.hypot(...vector);
    if (norm > 0) for (let i = 0; i < vector.length; i++) vector[i] = (vector[i] ?? 0) / norm;
  }

  /** Each word n-gram weighs 1; the character n-grams of a word weigh 1 together, so that long words do not drown short ones. */
  private *features(text: string): Iterable<readonly [string, number]> {
    const words =
      text
        .normalize("NFKC")
        .toLowerCase()
        .match(/[\p{L}\p{N}]+/gu) ?? [];
    for (let n = 1; n <= this.options.words; n++)
      for (let i = 0; i + n <= words.length; i++) yield [`w ${words.slice(i, i + n).join(" ")}`, 1];
    for (const word of words) {
      const grams = this.grams(`<${word}>`);
      for (const gram of grams) yield [`c ${gram}`, 1 / grams.length];
    }
  }

  private grams(word: string): string[] {
    const [shortest, longest] = this.options.characters;
    const letters = [...word];
    const grams: string[] = [];
    for (let n = Math.max(shortest, 1); n <= longest; n++)
      for (let i = 0; i + n <= letters.length; i++) grams.push(letters.slice(i, i + n).join(""));
    return grams;
  }
}

/** FNV-1a with murmur3's finaliser: 32 well-mixed bits, the same on every machine. */
function hashOf(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
