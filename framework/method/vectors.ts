/** Vectors of texts. */
import type { TextVectors } from "../contracts/llm.js";

/** Each scaled to length 1; one of zeros stays. */
export function unitVectors({ width, vectors }: TextVectors): TextVectors {
  const units = vectors.slice();
  for (let from = 0; from < units.length; from += width) {
    const row = units.subarray(from, from + width);
    const length = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
    if (length > 0) for (let i = 0; i < width; i++) row[i] = (row[i] as number) / length;
  }
  return { width, vectors: units };
}

/** Each without the mean of all. */
export function centred({ width, vectors }: TextVectors): TextVectors {
  const mean = new Float64Array(width);
  for (let from = 0; from < vectors.length; from += width)
    for (let i = 0; i < width; i++) mean[i] = (mean[i] as number) + ((vectors[from + i] as number) * width) / vectors.length;
  return { width, vectors: vectors.map((value, i) => value - (mean[i % width] as number)) };
}
