import type { RewardBatch } from "../contracts/feedback.js";

/** The mean of a text's lists, without those that have no value (NaN). @param values [lists]; @returns [texts], NaN where no list has a value */
export function meanByText({ texts, lists }: RewardBatch, values: ArrayLike<number>): Float64Array {
  const sums = new Float64Array(texts.length);
  const counts = new Float64Array(texts.length);
  lists.text.forEach((text, list) => {
    const value = values[list] as number;
    if (Number.isNaN(value)) return;
    sums[text] = (sums[text] as number) + value;
    counts[text] = (counts[text] as number) + 1;
  });
  return sums.map((sum, text) => sum / (counts[text] as number));
}
