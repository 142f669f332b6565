/** Sequences of items as the sequence encoder wants them: left-padded with 0, as narrow as their longest needs. */
import * as tf from "@tensorflow/tfjs-core";
import type { PreparedData } from "../contracts/dataset.js";

/** Rows of one array of items. */
export interface Sequences {
  readonly items: Int32Array;
  /** Row r is items[begin[r], end[r]). */
  readonly begin: Int32Array;
  readonly end: Int32Array;
}

/** @returns the chosen rows' last `width` items at most, [rows, longest of them], int32 */
export function paddedBatch({ items, begin, end }: Sequences, rows: ArrayLike<number>, width: number): tf.Tensor2D {
  let longest = 1;
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    longest = Math.max(longest, Math.min(width, (end[row] as number) - (begin[row] as number)));
  }
  const values = new Int32Array(rows.length * longest);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    const until = end[row] as number;
    const from = Math.max(begin[row] as number, until - longest);
    values.set(items.subarray(from, until), (i + 1) * longest - (until - from));
  }
  return tf.tensor2d(values, [rows.length, longest], "int32");
}

/** What precedes each list: the interactions right before it. Rows are list numbers. */
export function listHistories({ sequence, lists }: PreparedData): Sequences {
  return { items: sequence.items, begin: lists.user.map((user) => sequence.offsets[user] as number), end: lists.start };
}

/**
 * The users' whole sequences, cut into rows of `width` + 1 items from their ends, one item shared by neighbours: every
 * interaction but a user's first is learnt as a next item exactly once.
 * @param stride items from a row's end to the next one's; with fewer than `width` rows overlap, and items are learnt several times, after more history
 */
export function trainingRows(
  { items, offsets }: PreparedData["sequence"],
  users: Int32Array,
  width: number,
  stride: number = width,
): Sequences {
  const begin: number[] = [];
  const end: number[] = [];
  for (const user of users) {
    const first = offsets[user] as number;
    for (let until = offsets[user + 1] as number; until - first > 1; until -= stride) {
      begin.push(Math.max(first, until - width - 1));
      end.push(until);
      if (until - width - 1 <= first) break; // the row began with the user's first
    }
  }
  return { items, begin: Int32Array.from(begin), end: Int32Array.from(end) };
}

/** Each user's last interaction, and all before it. Rows are positions in `users`. */
export function leaveLastOut(
  { items, offsets }: PreparedData["sequence"],
  users: Int32Array,
): { histories: Sequences; targets: Int32Array } {
  const begin = users.map((user) => offsets[user] as number);
  const end = users.map((user) => (offsets[user + 1] as number) - 1);
  return { histories: { items, begin, end }, targets: end.map((last) => items[last] as number) };
}
