import { options, plugin, type TextEncoder } from "rlrf4rec";

interface TemplateOptions {
  readonly width: number;
}

@plugin({
  kind: "text-encoder",
  name: "@team/package/name",
  version: "1.0.0",
  summary: "How often a text's words fall into each of a number of buckets",
  source: "feature hashing of words, Weinberger et al. 2009, arXiv 0902.2206, without signs",
  options: {
    type: "object",
    properties: { width: { type: "integer", minimum: 8, maximum: 65536, default: 256, description: "Numbers a vector" } },
  },
})
export class Template implements TextEncoder {
  constructor(@options() private readonly options: TemplateOptions) {}

  /** @returns [texts, width]; a text's vector may depend on nothing but the text: it is cached by it */
  async encode(texts: readonly string[]): Promise<{ readonly width: number; readonly vectors: Float32Array }> {
    const { width } = this.options;
    const vectors = new Float32Array(texts.length * width);
    for (const [row, text] of texts.entries()) {
      const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
      for (const word of words) {
        const bucket = row * width + (hashOf(word) % width);
        vectors[bucket] = (vectors[bucket] as number) + 1 / Math.sqrt(words.length);
      }
    }
    return { width, vectors };
  }
}

/** FNV-1a, 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const letter of text) hash = Math.imul(hash ^ (letter.codePointAt(0) as number), 0x01000193);
  return hash >>> 0;
}
