/** Attention of sequences that are packed in rows, with its gradient in closed form. */
import * as tf from "@tensorflow/tfjs-core";
import { withGradient } from "../tensor/nn/with-gradient.js";
import { type DecoderConfig, groupSize } from "./config.js";
import type { Attend } from "./decoder.js";

/** Queries that share a key head stand one below the other, so that keys are never repeated. */
export interface HeadTensors {
  readonly query: tf.Tensor; // [rows, kvHeads, group * queries, headDim], scaled by 1 / sqrt(headDim)
  readonly key: tf.Tensor; // [rows, kvHeads, keys, headDim]
  readonly value: tf.Tensor; // [rows, kvHeads, keys, headDim]
}

/**
 * softmax(q kT + mask) v.
 * @param mask [rows or 1, 1, queries, keys] @returns mixed [rows, kvHeads, group * queries, headDim], and the weights for the gradient
 */
export function attention(
  { query, key, value }: HeadTensors,
  mask: tf.Tensor4D,
): { readonly mixed: tf.Tensor; readonly weights: tf.Tensor } {
  const scores = tf.matMul(query, key, false, true); // [rows, kvHeads, group * queries, keys]
  const byQuery = tf.reshape(scores, [query.shape[0] as number, -1, mask.shape[2], mask.shape[3]]);
  const weights = tf.reshape(tf.softmax(tf.add(byQuery, mask)), scores.shape);
  return { mixed: tf.matMul(weights, value), weights };
}

/** The row sums that softmax's gradient needs are those of dy * mixed (Dao et al. 2022, arXiv 2205.14135, appendix B.2). */
export function attentionGradients(dy: tf.Tensor, { query, key, value }: HeadTensors, weights: tf.Tensor, mixed: tf.Tensor): HeadTensors {
  const sums = tf.sum(tf.mul(dy, mixed), -1, true);
  const scores = tf.mul(weights, tf.sub(tf.matMul(dy, value, false, true), sums));
  return { query: tf.matMul(scores, key), key: tf.matMul(scores, query, true, false), value: tf.matMul(weights, dy, true, false) };
}

/**
 * Attention within each of `rows` sequences of `length` keys.
 * @param mask [rows or 1, 1, queries, length], added to the scores: each sequence has as many queries as the mask has rows for
 */
export function attendWithin(config: DecoderConfig, rows: number, length: number, mask: tf.Tensor4D): Attend {
  const { heads, kvHeads, headDim } = config;
  const queries = mask.shape[2];
  const byHead = (x: tf.Tensor3D, tokens: number, count: number) =>
    tf.transpose(tf.reshape(x, [rows, tokens, count, headDim]), [0, 2, 1, 3]);
  return (_layer, query, key, value) => {
    const stacked = tf.reshape(byHead(query, queries, heads), [rows, kvHeads, groupSize(config) * queries, headDim]);
    const mixed = tf.reshape(taped(stacked, byHead(key, length, kvHeads), byHead(value, length, kvHeads), mask), [
      rows,
      heads,
      queries,
      headDim,
    ]);
    return tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [rows * queries, heads * headDim]) as tf.Tensor2D;
  };
}

function taped(query: tf.Tensor, key: tf.Tensor, value: tf.Tensor, mask: tf.Tensor4D): tf.Tensor {
  return withGradient([query, key, value], (query, key, value) => {
    const { mixed, weights } = attention({ query, key, value }, mask);
    return {
      value: mixed,
      saved: [query, key, value, weights, mixed],
      gradients: (dy, ...saved) => {
        const [query, key, value, weights, mixed] = saved as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
        const gradients = attentionGradients(dy, { query, key, value }, weights, mixed);
        return [gradients.query, gradients.key, gradients.value];
      },
    };
  });
}
