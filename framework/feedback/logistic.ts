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

/**
 * Above this exp goes on along its tangent. A norm squares gradients, and those of parameters are this one times what the log-prob gives
 * them: exp(30)² leaves room for a factor of 10⁶ before float32 ends. Cut off, a chosen text that has become so unlikely would not be
 * pulled up any more.
 */
const largestExponent = 30;

/** (exp(a x) - 1) / a, which is x for a = 0; beyond a x = 30 a straight line, so that value, gradient and the gradient's norm stay finite. */
export function powerScore<Shape extends tf.Tensor>(x: Shape, a: number): Shape {
  if (a === 0) return x;
  const exponent = tf.mul(x, a);
  const beyond = tf.relu(tf.sub(exponent, largestExponent));
  return tf.div(tf.add(tf.expm1(tf.minimum(exponent, largestExponent)), tf.mul(beyond, Math.exp(largestExponent))), a);
}
