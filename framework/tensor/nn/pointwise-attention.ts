import * as tf from "@tensorflow/tfjs-core";
import { siluSlope } from "./activations.js";
import { withGradient } from "./with-gradient.js";

/**
 * Pointwise aggregated attention (Zhai et al. 2024, arXiv 2402.17152, eq. 2): silu(q kᵀ + bias) v / scale where allowed, without a softmax:
 * how much there is to attend to stays visible. Gradient in closed form, as that of softmax attention.
 * @param q, @param k [heads, batch, length, d]; @param v [heads, batch, length, e]; @param bias [length, length]
 * @param allowed 1 or 0, broadcast to [heads, batch, length, length]; no gradient reaches it
 */
export function pointwiseAttention(
  [q, k, v]: readonly [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D],
  bias: tf.Tensor2D,
  allowed: tf.Tensor,
  scale: number,
): tf.Tensor4D {
  return withGradient<[tf.Tensor4D, tf.Tensor4D, tf.Tensor4D, tf.Tensor2D], tf.Tensor4D>([q, k, v, bias], (q, k, v, bias) => {
    const scores = tf.add(tf.matMul(q, k, false, true), bias); // [heads, batch, length, length]
    const gate = tf.sigmoid(scores);
    const permitted = tf.div(allowed, scale);
    const weights = tf.mul(tf.mul(scores, gate), permitted);
    return {
      value: tf.matMul(weights, v) as tf.Tensor4D,
      saved: [q, k, v, weights, tf.mul(siluSlope(scores, gate), permitted)],
      gradients: (dy, ...saved) => {
        const [q, k, v, weights, slope] = saved as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
        const dScores = tf.mul(tf.matMul(dy, v, false, true), slope);
        return [tf.matMul(dScores, k), tf.matMul(dScores, q, true, false), tf.matMul(weights, dy, true, false), tf.sum(dScores, [0, 1])];
      },
    };
  });
}
