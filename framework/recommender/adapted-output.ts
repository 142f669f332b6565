/** What the last layer of an adaptor's network gives: told once for all adaptors that have one. */
import * as tf from "@tensorflow/tfjs-core";
import type { OptionSchema } from "../contracts/plugin.js";
import type { Mode } from "../contracts/recommender.js";
import { dropout } from "../tensor/nn/index.js";

const outputs = ["linear", "relu"] as const;
export type AdaptedOutput = (typeof outputs)[number];

/** The schema of an option of type AdaptedOutput. */
export const adaptedOutput: OptionSchema = {
  enum: outputs,
  default: "linear",
  description:
    "What follows the last layer: `linear`, nothing, so that an adapted vector may point anywhere; `relu`, a rectifier and the dropout again, as in KAR's public code",
};

/** @param mask shape of the dropout's mask, where not that of `x` */
export function rectifiedOutput<Rank extends tf.Tensor>(x: Rank, rate: number, mode: Mode, mask?: readonly number[]): Rank {
  return dropout(tf.relu(x) as Rank, rate, mode, mask);
}
