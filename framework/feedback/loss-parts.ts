/** What preference losses are made of, besides the logistic function: one copy of each. */
import * as tf from "@tensorflow/tfjs-core";
import type { PreferenceBatch, PreferenceSide } from "../contracts/feedback.js";
import { logRatio } from "./log-ratio.js";

/** A value of one side divided by its completion tokens. For losses that need "lengths". */
export function perToken<Shape extends tf.Tensor>(values: Shape, { lengths }: PreferenceSide<Shape>): Shape {
  if (lengths === undefined) throw new Error('a loss that reads lengths has "lengths" in its needs');
  return tf.div(values, tf.maximum(lengths, 1));
}

/** log pi / |y|: the mean log-prob of a completion token, nats. */
export function meanLogProb<Shape extends tf.Tensor>(side: PreferenceSide<Shape>): Shape {
  return perToken(side.logProbs, side);
}

/** log pi / |y| of each text, or by token log pi over the batch's mean length, so that the mean over the texts is that over all their tokens. [pairs], nats */
export function logProbOfTokens(side: PreferenceSide<tf.Tensor1D>, each: "text" | "token"): tf.Tensor1D {
  if (each === "text" || side.lengths === undefined) return meanLogProb(side);
  return tf.div(side.logProbs, tf.maximum(tf.mean(side.lengths), 1));
}

/** [pairs] -> [pairs, 1], to stand beside the rejected texts' [pairs, k]. */
export function column(values: tf.Tensor1D): tf.Tensor2D {
  return tf.expandDims(values, 1);
}

/** u [pairs, 1] and v [pairs, k]: log pi - log ref of the chosen and of the rejected texts, nats. */
export function logRatios({ chosen, rejected }: PreferenceBatch): { readonly u: tf.Tensor2D; readonly v: tf.Tensor2D } {
  return { u: column(logRatio(chosen)), v: logRatio(rejected) };
}

/** A pair loss against several rejected texts is the mean over them. @param losses [pairs, k]; @returns [pairs] */
export function meanOverRejected(losses: tf.Tensor): tf.Tensor1D {
  return tf.mean(losses, 1);
}

/** A value that no gradient flows through, as JavaScript numbers. */
export function detached(values: tf.Tensor): Float32Array {
  return values.dataSync<"float32">();
}
