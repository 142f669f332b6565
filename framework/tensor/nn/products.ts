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

/** x / |x| along the last dimension; zeros stay zeros. */
export function l2Normalised<Rank extends tf.Tensor>(x: Rank): Rank {
  return withGradient<[tf.Tensor], Rank>([x], (x) => {
    const inverse = tf.rsqrt(tf.add(tf.sum(tf.square(x), -1, true), 1e-12));
    const value = tf.mul(x, inverse) as Rank;
    return {
      value,
      saved: [value, inverse],
      gradients: (dy, value, inverse) => {
        const along = tf.mul(value as tf.Tensor, tf.sum(tf.mul(dy, value as tf.Tensor), -1, true));
        return [tf.mul(tf.sub(dy, along), inverse as tf.Tensor)];
      },
    };
  });
}
