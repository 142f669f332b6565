/** Leave-one-out: how highly an encoder ranks the item that came next, among all that the user has not met. */
import * as tf from "@tensorflow/tfjs-core";
import type { EncoderNetwork } from "../contracts/recommender.js";
import { RlrfError } from "../errors.js";
import { mean } from "../metrics/aggregate.js";
import { chunks } from "./batches.js";
import { paddedBatch, type Sequences } from "./sequences.js";

export interface NextItems {
  readonly histories: Sequences;
  /** The item after each history. [rows of histories] */
  readonly targets: Int32Array;
}

/** Items of the whole history: "out" of a ranking, or "in" it, as some libraries rank. */
export type Seen = "out" | "in";

const batchSize = 256;

/**
 * NDCG@k of the one next item under full ranking: 1 / log2(rank + 1) up to rank k; a target tied with others has the rank in their middle.
 * @param width of the history that the network takes
 * @returns the mean over rows @throws RLRF_METRIC_NAN
 */
export function nextItemNdcg(
  network: EncoderNetwork,
  { histories, targets }: NextItems,
  width: number,
  k: number,
  seen: Seen = "out",
): number {
  const values = new Float64Array(targets.length);
  for (const rows of chunks(Int32Array.from(targets.keys()), batchSize)) {
    const scores = tf.tidy(() => network.scores(paddedBatch(histories, rows, width)).dataSync<"float32">());
    const items = scores.length / rows.length;
    for (const [i, row] of rows.entries()) {
      const own = scores.subarray(i * items, (i + 1) * items);
      const left = seen === "in" ? [] : histories.items.subarray(histories.begin[row], histories.end[row]);
      const rank = rankOf(own, targets[row] as number, left);
      if (Number.isNaN(rank)) throw nanScore(row);
      values[row] = rank <= k ? 1 / Math.log2(rank + 1) : 0;
    }
  }
  return mean(values);
}

/** From 1; NaN where a score is not a number. Writes into `scores`. @param left items out of the ranking */
function rankOf(scores: Float32Array, target: number, left: ArrayLike<number>): number {
  const own = scores[target] as number;
  scores[0] = Number.NEGATIVE_INFINITY;
  for (const item of Array.from(left)) if (item !== target) scores[item] = Number.NEGATIVE_INFINITY;
  let above = 0;
  let tied = -1; // itself
  for (const score of scores) {
    if (score > own) above++;
    else if (score === own) tied++;
    else if (!(score < own)) return Number.NaN;
  }
  return 1 + above + Math.ceil(tied / 2);
}

function nanScore(row: number): RlrfError {
  return new RlrfError("RLRF_METRIC_NAN", {
    message: "the score of an item is not a number",
    where: `history ${row}`,
    hint: "the sequence encoder diverged: lower its learning rate",
  });
}
