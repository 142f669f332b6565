import * as tf from "@tensorflow/tfjs-core";
import type { PreferenceSide } from "../contracts/feedback.js";

/** log pi - log ref of one side of a batch, nats. For losses that need "reference". */
export function logRatio<Shape extends tf.Tensor>({ logProbs, reference }: PreferenceSide<Shape>): Shape {
  if (reference === undefined) throw new Error('a loss that reads reference log-probs has "reference" in its needs');
  return tf.sub(logProbs, reference) as Shape;
}
