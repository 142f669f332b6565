import type { RewardBatch } from "../contracts/feedback.js";
import { groupMeans } from "../metrics/aggregate.js";

/** The mean of a text's lists, without those that have no value (NaN). @param values [lists]; @returns [texts], NaN where no list has a value */
export function meanByText({ texts, lists }: RewardBatch, values: ArrayLike<number>): Float64Array {
  return groupMeans(values, lists.text, texts.length);
}
