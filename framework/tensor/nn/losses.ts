import * as tf from "@tensorflow/tfjs-core";
import { withGradient } from "./with-gradient.js";

/**
 * Softmax cross-entropy of lists: -Σ y log softmax(s), y = the labels divided by their sum in the list; the mean over
 * the lists that have a relevant item (the others say nothing under a softmax). In nats.
 * @param scores [batch, list]; @param labels [batch, list], 0 or more
 */
export function listwiseSoftmax(scores: tf.Tensor2D, labels: tf.Tensor2D): tf.Scalar {
  return withKnownGradient(scores, () => {
    const sums = tf.sum(labels, 1, true); // [batch, 1]
    const relevant = tf.sign(sums);
    const lists = tf.maximum(tf.sum(relevant), 1);
    const targets = tf.div(labels, tf.maximum(sums, 1e-12));
    const logProbs = tf.logSoftmax(scores);
    return {
      value: tf.neg(tf.div(tf.sum(tf.mul(targets, logProbs)), lists)),
      gradient: tf.div(tf.sub(tf.mul(tf.exp(logProbs), relevant), targets), lists),
    };
  });
}

/**
 * Attention rank (Ai et al. 2018, arXiv 1804.05936, eqs. 8-10): where a list's attention should go, a_i ∝ exp(y_i) over the relevant,
 * against where the scores put it, p = softmax(s): -Σ a log p + (1 - a) log(1 - p); the mean over the lists that have a relevant item. In nats.
 * @param scores [batch, list]; @param labels [batch, list], 0 or more
 */
export function attentionRank(scores: tf.Tensor2D, labels: tf.Tensor2D): tf.Scalar {
  return withKnownGradient(scores, () => {
    const weights = tf.mul(tf.exp(labels), tf.sign(labels));
    const sums = tf.sum(weights, 1, true); // [batch, 1]
    const relevant = tf.sign(sums);
    const lists = tf.maximum(tf.sum(relevant), 1);
    const wanted = tf.div(weights, tf.maximum(sums, 1e-12));
    const logProbs = tf.logSoftmax(scores);
    const given = tf.exp(logProbs);
    const rest = tf.maximum(tf.sub(1, given), 1e-7);
    const unwanted = tf.sub(1, wanted);
    const terms = tf.add(tf.mul(wanted, logProbs), tf.mul(unwanted, tf.log(rest)));
    const pull = tf.sub(tf.mul(unwanted, tf.div(given, rest)), wanted); // p dL/dp
    return {
      value: tf.neg(tf.div(tf.sum(tf.mul(terms, relevant)), lists)),
      gradient: tf.div(tf.mul(tf.sub(pull, tf.mul(given, tf.sum(pull, 1, true))), relevant), lists),
    };
  });
}

/**
 * Binary cross-entropy of logits: the weighted mean of softplus(z) - y z. In nats.
 * @param weights of the entries, same shape; absent = all 1
 */
export function binaryCrossEntropy(logits: tf.Tensor, targets: tf.Tensor, weights?: tf.Tensor): tf.Scalar {
  return withKnownGradient(logits, () => {
    const total = weights ? tf.maximum(tf.sum(weights), 1e-12) : tf.scalar(logits.size);
    const weighted = (x: tf.Tensor) => (weights ? tf.mul(x, weights) : x);
    return {
      value: tf.div(tf.sum(weighted(tf.sub(tf.softplus(logits), tf.mul(targets, logits)))), total),
      gradient: tf.div(weighted(tf.sub(tf.sigmoid(logits), targets)), total),
    };
  });
}

/** Logits computed at once; bounds the memory, and keeps what is passed over repeatedly in the processor's cache. */
const logitsAtOnce = 1 << 22;

/**
 * Mean cross-entropy of the right item among all of a table, in nats: logits = states tableᵀ. The gradient is computed along with the
 * loss, some rows at a time, so that the [rows, items] matrix never exists as a whole.
 * @param states [rows, width]; @param table [items, width]; @param right item of each row, [rows]
 */
export function catalogueCrossEntropy(states: tf.Tensor2D, table: tf.Tensor2D, right: Int32Array): tf.Scalar {
  return withGradient<[tf.Tensor2D, tf.Tensor2D], tf.Scalar>([states, table], (states, table) => {
    const rows = right.length;
    const atOnce = Math.max(1, Math.floor(logitsAtOnce / table.shape[0]));
    let [loss, dTable]: [number, tf.Tensor] = [0, tf.zerosLike(table)];
    const dStates: tf.Tensor2D[] = [];
    for (let from = 0; from < rows; from += atOnce) {
      const count = Math.min(atOnce, rows - from);
      const piece = tf.slice(states, [from, 0], [count, -1]);
      const next = tf.tidy(() => catalogueRows(piece, table, right.subarray(from, from + count)));
      loss += next.loss;
      dStates.push(next.dStates);
      const sum = tf.add(dTable, next.dTable);
      tf.dispose([dTable, next.dTable, piece]);
      dTable = sum;
    }
    return {
      value: tf.scalar(loss / rows),
      saved: [tf.concat(dStates, 0), dTable],
      gradients: (dy, ...saved) => saved.map((gradient) => tf.mul(gradient, tf.div(dy, rows))),
    };
  });
}

/** Sums over the rows, and their gradients. */
function catalogueRows(
  states: tf.Tensor2D,
  table: tf.Tensor2D,
  right: Int32Array,
): { loss: number; dStates: tf.Tensor2D; dTable: tf.Tensor } {
  const [rows, items] = [right.length, table.shape[0]];
  const chances = tf.softmax(tf.matMul(states, table, false, true)) as tf.Tensor2D;
  const indices = tf.tensor1d(right, "int32");
  const ofRight = tf.gather(
    tf.reshape(chances, [rows * items]),
    tf.tensor1d(
      right.map((item, row) => row * items + item),
      "int32",
    ),
  );
  return {
    loss: -(tf.sum(tf.log(tf.maximum(ofRight, 1e-37))).dataSync()[0] as number),
    // (softmax - onehot) table and (softmax - onehot)ᵀ states, the one-hot parts by lookup
    dStates: tf.sub(tf.matMul(chances, table), tf.gather(table, indices)) as tf.Tensor2D,
    dTable: tf.sub(tf.matMul(chances, states, true, false), tf.unsortedSegmentSum(states, indices, items)),
  };
}

/** A scalar of one input whose gradient comes out along the way. */
function withKnownGradient(input: tf.Tensor, compute: () => { value: tf.Tensor; gradient: tf.Tensor }): tf.Scalar {
  return withGradient<[tf.Tensor], tf.Scalar>([input], () => {
    const { value, gradient } = compute();
    return { value: value as tf.Scalar, saved: [gradient], gradients: (dy, known) => [tf.mul(known as tf.Tensor, dy)] };
  });
}
