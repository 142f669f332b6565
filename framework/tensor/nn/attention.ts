import * as tf from "@tensorflow/tfjs-core";
import type { Mode } from "../../contracts/recommender.js";
import type { Parameters } from "../parameters.js";
import { dense } from "./dense.js";
import { dropoutMask } from "./dropout.js";
import { withGradient } from "./with-gradient.js";

/** What may not be attended to gets this added to its score. */
const never = -1e9;

/** Dropout of the weights that attention gives (Vaswani et al. 2017's code, BERT): whole positions are left out. */
export interface WeightDropout {
  readonly rate: number;
  readonly mode: Mode;
}

/**
 * dropout(softmax(q kᵀ / √d + mask)) v (Vaswani et al. 2017, arXiv 1706.03762, eq. 1), with its gradient in closed form: the row sums that
 * softmax's gradient needs are those of dy * output (Dao et al. 2022, arXiv 2205.14135, appendix B.2), so the big matrix is passed over
 * twice, not four times.
 * @param q [heads, batch, queries, d]; @param k, @param v [heads, batch, keys, d]
 * @param mask added to the scores, broadcast to [batch, queries, keys]; no gradient reaches it
 */
export function scaledDotProductAttention(
  q: tf.Tensor4D,
  k: tf.Tensor4D,
  v: tf.Tensor4D,
  mask?: tf.Tensor,
  dropout?: WeightDropout,
): tf.Tensor4D {
  const [heads, batch, queries, width] = q.shape;
  const scale = 1 / Math.sqrt(width);
  const kept = dropout ? dropoutMask([heads, batch, queries, k.shape[2]], dropout.rate, dropout.mode) : null;
  return withGradient([q, k, v], (q, k, v) => {
    const scores = tf.matMul(tf.mul(q, scale), k, false, true); // [heads, batch, queries, keys]
    const weights = tf.softmax(mask ? tf.add(scores, mask) : scores);
    const heard = kept === null ? weights : tf.mul(weights, kept);
    const value = tf.matMul(heard, v) as tf.Tensor4D;
    const saved = [q, k, v, value, weights, ...(kept === null ? [] : [heard])];
    return { value, saved, gradients: (dy, ...saved) => attentionGradients(dy, saved, scale) };
  });
}

function attentionGradients(dy: tf.Tensor, saved: tf.Tensor[], scale: number): tf.Tensor[] {
  const [q, k, v, value, weights, heard = weights] = saved as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor?];
  const rowSums = tf.sum(tf.mul(dy, value), -1, true); // [heads, batch, queries, 1]
  const dHeard = tf.matMul(dy, v, false, true);
  const dScores = heard === weights ? tf.mul(weights, tf.sub(dHeard, rowSums)) : tf.sub(tf.mul(heard, dHeard), tf.mul(weights, rowSums)); // dropout's factor stands in `heard`
  return [tf.mul(tf.matMul(dScores, k), scale), tf.mul(tf.matMul(dScores, q, true, false), scale), tf.matMul(heard, dy, true, false)];
}

interface AttentionShape {
  readonly width: number;
  readonly heads: number;
  /** Whether what the heads say goes through one more layer, as in Vaswani et al. 2017; default true. */
  readonly projected?: boolean;
}

/**
 * Multi-head attention of one kind of sequences to another, whose positions stand one below the other.
 * @returns x [batch * queries, width], y [batch * keys, width], batch, mask (added to the scores, broadcast to [batch, queries, keys]), dropout of the weights -> [batch * queries, width]
 */
export function crossAttention(scope: Parameters, { width, heads, projected = true }: AttentionShape) {
  if (width % heads !== 0) throw new RangeError(`${heads} heads do not divide a width of ${width}`);
  const projection = (name: string) => dense(scope.scope(name), { inputs: width, outputs: width });
  const [query, key, value] = [projection("query"), projection("key"), projection("value")];
  const output = projected ? projection("output") : (x: tf.Tensor2D) => x;
  return (x: tf.Tensor2D, y: tf.Tensor2D, batch: number, mask?: tf.Tensor, dropout?: WeightDropout): tf.Tensor2D => {
    const split = (of: tf.Tensor2D) => splitHeads(of, batch, heads);
    return output(joinHeads(scaledDotProductAttention(split(query(x)), split(key(y)), split(value(y)), mask, dropout)));
  };
}

/** Attention of sequences to themselves: see crossAttention. */
export function selfAttention(scope: Parameters, shape: AttentionShape) {
  const attend = crossAttention(scope, shape);
  return (x: tf.Tensor2D, batch: number, mask?: tf.Tensor, dropout?: WeightDropout): tf.Tensor2D => attend(x, x, batch, mask, dropout);
}

/** [batch * length, width] -> [heads, batch, length, width / heads] */
export function splitHeads(x: tf.Tensor2D, batch: number, heads: number): tf.Tensor4D {
  const [length, width] = [x.shape[0] / batch, x.shape[1]];
  if (heads === 1) return tf.reshape(x, [1, batch, length, width]);
  return tf.transpose(tf.reshape(x, [batch, length, heads, width / heads]), [2, 0, 1, 3]);
}

/** [heads, batch, length, d] -> [batch * length, heads * d] */
export function joinHeads(x: tf.Tensor4D): tf.Tensor2D {
  const [heads, batch, length, d] = x.shape;
  return tf.reshape(heads === 1 ? x : tf.transpose(x, [1, 2, 0, 3]), [batch * length, heads * d]);
}

/** A mask under which a position attends to itself and to what is before it. [length, length] */
export function causalMask(length: number): tf.Tensor2D {
  const mask = new Float32Array(length * length);
  for (let row = 0; row < length; row++) mask.fill(never, row * length + row + 1, (row + 1) * length);
  return tf.tensor2d(mask, [length, length]);
}

/** A mask that hides padding (0) from everyone. @param ids [batch, length]; @returns [batch, 1, length] */
export function paddingMask(ids: tf.Tensor2D): tf.Tensor3D {
  return tf.tidy(() => tf.expandDims(tf.mul(tf.cast(tf.equal(ids, 0), "float32"), never), 1) as tf.Tensor3D);
}

/**
 * A mask under which an item attends to itself and to the items before it, and padding to itself alone: were all keys forbidden to it, it
 * would attend evenly to all of them, and an empty history would say something else in a wider batch.
 * @param ids [batch, length], left-padded with 0; @returns [batch, length, length]
 */
export function historyMask(ids: tf.Tensor2D): tf.Tensor3D {
  const length = ids.shape[1];
  return tf.tidy(() => {
    const others = tf.sub(1, tf.eye(length));
    return tf.mul(tf.add(causalMask(length), paddingMask(ids)), others) as tf.Tensor3D;
  });
}
