/** Fused operations with hand-written gradients: fewer temporaries on the tape than their composites. */
import * as tf from "@tensorflow/tfjs-core";
import type { Rotation } from "./rotary.js";

/** x / sqrt(mean(x^2) + epsilon) over the last axis (RMSNorm, arXiv 1910.07467) without its gain. */
export function normalise<T extends tf.Tensor>(x: T, epsilon: number): T {
  const op = tf.customGrad((input, save) => {
    const inverse = tf.rsqrt(tf.add(tf.mean(tf.square(input as tf.Tensor), -1, true), epsilon));
    const y = tf.mul(input as tf.Tensor, inverse);
    (save as tf.GradSaveFunc)([y, inverse]);
    const gradFunc = (dy: tf.Tensor, [normal, scale]: tf.Tensor[]) =>
      tf.mul(scale as tf.Tensor, tf.sub(dy, tf.mul(normal as tf.Tensor, tf.mean(tf.mul(dy, normal as tf.Tensor), -1, true))));
    return { value: y, gradFunc };
  });
  return op(x) as T;
}

/** x -> cos * x + sin * swap(x), all [rows, heads, headDim]: see Rotation. */
export function rotate(x: tf.Tensor3D, { cos, sin }: Rotation): tf.Tensor3D {
  const op = tf.customGrad((input) => ({
    value: tf.add(tf.mul(input as tf.Tensor, cos), tf.mul(swapHalves(input as tf.Tensor), sin)),
    // Swapping is its own transpose.
    gradFunc: (dy: tf.Tensor) => tf.add(tf.mul(dy, cos), swapHalves(tf.mul(dy, sin))),
  }));
  return op(x) as tf.Tensor3D;
}

function swapHalves(x: tf.Tensor): tf.Tensor {
  const [first, second] = tf.split(x, 2, -1) as [tf.Tensor, tf.Tensor];
  return tf.concat([second, first], -1);
}

/** silu(gate) * up of x = [gate, up], [rows, 2 * width] -> [rows, width] (SwiGLU, arXiv 2002.05202). */
export function swiglu(x: tf.Tensor2D): tf.Tensor2D {
  const op = tf.customGrad((input, save) => {
    const [gate, up] = tf.split(input as tf.Tensor, 2, 1) as [tf.Tensor, tf.Tensor];
    const gateOpen = tf.sigmoid(gate);
    const silu = tf.mul(gate, gateOpen);
    (save as tf.GradSaveFunc)([gateOpen, silu, up]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => {
      const [s, a, u] = saved as [tf.Tensor, tf.Tensor, tf.Tensor];
      // d silu = s + silu * (1 - s)
      const slope = tf.add(s, tf.mul(a, tf.sub(1, s)));
      return tf.concat([tf.mul(tf.mul(dy, u), slope), tf.mul(dy, a)], 1);
    };
    return { value: tf.mul(silu, up), gradFunc };
  });
  return op(x) as tf.Tensor2D;
}

/** log softmax(logits)[target] of each row: [rows, vocabulary], [rows] -> [rows], nats. */
export function targetLogProbs(logits: tf.Tensor2D, targets: tf.Tensor1D): tf.Tensor1D {
  const op = tf.customGrad((input, save) => {
    const logProbs = tf.logSoftmax(input as tf.Tensor2D);
    (save as tf.GradSaveFunc)([logProbs]);
    const vocabulary = (input as tf.Tensor2D).shape[1];
    const gradFunc = (dy: tf.Tensor, [saved]: tf.Tensor[]) =>
      tf.mul(tf.expandDims(dy, 1), tf.sub(tf.oneHot(targets, vocabulary), tf.exp(saved as tf.Tensor)));
    return { value: tf.reshape(tf.gather(logProbs, tf.expandDims(targets, 1), 1, 1), [-1]), gradFunc };
  });
  return op(logits) as tf.Tensor1D;
}
