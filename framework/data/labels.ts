/** The labels of candidate lists: one way to take some of them, one way to ask what is in them. */
import type { PreparedLists } from "../contracts/dataset.js";

/** @param numbers list numbers; @returns [numbers * length], 1 = relevant */
export function labelsOf({ length, labels }: PreparedLists, numbers: Int32Array): Uint8Array {
  const rows = new Uint8Array(numbers.length * length);
  for (const [row, list] of numbers.entries()) rows.set(labels.subarray(list * length, (list + 1) * length), row * length);
  return rows;
}

/** A list without a relevant item has no ideal order: it teaches, but is neither a reward nor a result. */
export function hasRelevant({ length, labels }: PreparedLists, list: number): boolean {
  return labels.subarray(list * length, (list + 1) * length).includes(1);
}
