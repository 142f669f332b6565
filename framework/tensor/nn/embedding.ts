import * as tf from "@tensorflow/tfjs-core";
import type { Initializer, Parameters } from "../parameters.js";
import { truncatedNormal } from "./initialisers.js";

export interface Embedding {
  readonly table: tf.Variable;
  /** @param ids int32 of any shape; @returns [...ids, width] */
  (ids: tf.Tensor): tf.Tensor;
}

/**
 * A table of `count` vectors. Row 0 is not treated apart: who pads with 0 masks.
 * The gradient of a gather is a table-sized sum (UnsortedSegmentSum), so ids that are needed together are best looked up together.
 */
export function embedding(
  scope: Parameters,
  { count, width, initialiser = truncatedNormal(0.02) }: { count: number; width: number; initialiser?: Initializer },
): Embedding {
  const table = scope.create("table", [count, width], initialiser);
  return Object.assign((ids: tf.Tensor) => tf.gather(table, ids), { table });
}
