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

/** Mean cross-entropy of one right class a row, in nats. @param logits [rows, classes]; @param classes int32 [rows] */
export function softmaxCrossEntropy(logits: tf.Tensor2D, classes: tf.Tensor1D): tf.Scalar {
  return withKnownGradient(logits, () => {
    const [rows, width] = logits.shape;
    const logProbs = tf.logSoftmax(logits);
    const right = tf.oneHot(classes, width, 1, 0, "float32");
    return {
      value: tf.neg(tf.div(tf.sum(tf.mul(logProbs, right)), rows)),
      gradient: tf.div(tf.sub(tf.exp(logProbs), right), rows),
    };
  });
}

/** A scalar of one input whose gradient comes out along the way. */
function withKnownGradient(input: tf.Tensor, compute: () => { value: tf.Tensor; gradient: tf.Tensor }): tf.Scalar {
  return withGradient<[tf.Tensor], tf.Scalar>([input], () => {
    const { value, gradient } = compute();
    return { value: value as tf.Scalar, saved: [gradient], gradients: (dy, known) => [tf.mul(known as tf.Tensor, dy)] };
  });
}
