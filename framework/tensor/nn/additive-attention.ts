import * as tf from "@tensorflow/tfjs-core";
import { biasGradient } from "./native.js";
import { withGradient } from "./with-gradient.js";

/** Entries of [batch, queries, keys, width] computed at once: what the processor's cache holds a good part of. */
const entriesAtOnce = 1 << 21;

/**
 * Scores of additive attention (Bahdanau et al. 2014, arXiv 1409.0473, A.1.2): v · f(q_t + k_j). The [batch, queries, keys, width] tensor is
 * never whole: it is made some rows at a time, and again for the gradient.
 * @param q [batch, queries, width]; @param k [batch, keys, width], both already projected; @param v [width]; @returns [batch, queries, keys]
 */
export function additiveScores(q: tf.Tensor3D, k: tf.Tensor3D, v: tf.Tensor, activation: "sigmoid" | "tanh"): tf.Tensor3D {
  const [batch, queries, width] = q.shape;
  const keys = k.shape[1];
  const atOnce = Math.max(1, Math.floor(entriesAtOnce / (queries * keys * width)));
  const pieces = Array.from({ length: Math.ceil(batch / atOnce) }, (_, i) => i * atOnce);
  const rows = (x: tf.Tensor3D, from: number) => tf.slice(x, [from, 0, 0], [Math.min(atOnce, batch - from), -1, -1]);
  const activate = activation === "tanh" ? tf.tanh : tf.sigmoid;
  const met = (q: tf.Tensor3D, k: tf.Tensor3D, from: number) =>
    activate(tf.add(tf.expandDims(rows(q, from), 2), tf.expandDims(rows(k, from), 1)));
  return withGradient<[tf.Tensor3D, tf.Tensor3D, tf.Tensor], tf.Tensor3D>([q, k, v], (q, k, v) => {
    const scored = pieces.map((from) =>
      tf.tidy(() => tf.reshape(tf.matMul(tf.reshape(met(q, k, from), [-1, width]), tf.reshape(v, [width, 1])), [-1, queries, keys])),
    );
    return {
      value: tf.concat(scored, 0) as tf.Tensor3D,
      saved: [q, k, v],
      gradients: (dy, ...saved) => {
        const [q, k, v] = saved as [tf.Tensor3D, tf.Tensor3D, tf.Tensor];
        const each = pieces.map((from) =>
          tf.tidy(() => {
            const values = met(q, k, from); // [piece, queries, keys, width]
            const own = tf.expandDims(rows(dy as tf.Tensor3D, from), 3);
            const slope = activation === "tanh" ? tf.sub(1, tf.square(values)) : tf.mul(values, tf.sub(1, values));
            const inner = tf.mul(tf.mul(slope, v), own);
            return [tf.sum(inner, 2), tf.sum(inner, 1), biasGradient(tf.mul(values, own))] as [tf.Tensor, tf.Tensor, tf.Tensor];
          }),
        );
        return [tf.concat(each.map(([dq]) => dq)), tf.concat(each.map(([, dk]) => dk)), tf.addN(each.map(([, , dv]) => dv))];
      },
    };
  });
}
