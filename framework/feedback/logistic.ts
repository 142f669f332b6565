import * as tf from "@tensorflow/tfjs-core";

/** log s(x), s the logistic function; at most 0, and about x far below 0. The engine's own logSigmoid has no gradient on intermediate values. */
export function logSigmoid<Shape extends tf.Tensor>(x: Shape): Shape {
  return tf.neg(tf.softplus(tf.neg(x)));
}

/**
 * Logistic loss of a logit whose sign is wrong with a chance e (conservative DPO, Mitchell 2023): -(1 - e) log s(x) - e log s(-x).
 * @param labelSmoothing e
 */
export function logisticLoss<Shape extends tf.Tensor>(x: Shape, labelSmoothing = 0): Shape {
  const right = tf.softplus(tf.neg(x));
  if (labelSmoothing === 0) return right;
  return tf.add(tf.mul(right, 1 - labelSmoothing), tf.mul(tf.softplus(x), labelSmoothing));
}

/** Exponents above this are cut: exp(80) squared is far beyond float32, and a text that unlikely teaches nothing more. */
const largestExponent = 80;

/** (exp(a x) - 1) / a, which is x for a = 0; a x is cut at 80, so that value and gradient stay finite. */
export function powerScore<Shape extends tf.Tensor>(x: Shape, a: number): Shape {
  return a === 0 ? x : tf.div(tf.expm1(tf.minimum(tf.mul(x, a), largestExponent)), a);
}
