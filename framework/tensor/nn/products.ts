import * as tf from "@tensorflow/tfjs-core";
import { withGradient } from "./with-gradient.js";

/** Dot products along the last dimension: [..., width] x [..., width] -> [...]. The tape's gradient of a sum would build a tensor of ones. */
export function rowDots(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  return withGradient([a, b], (a, b) => ({
    value: tf.sum(tf.mul(a, b), -1),
    saved: [a, b],
    gradients: (dy, a, b) => {
      const each = tf.expandDims(dy, -1);
      return [tf.mul(each, b as tf.Tensor), tf.mul(each, a as tf.Tensor)];
    },
  }));
}
