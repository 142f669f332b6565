/**
 * Fused operations with hand-written gradients: fewer temporaries on the tape than their composites.
 * Gradients read only what was saved: everything else of the forward pass is gone by then.
 */
import * as tf from "@tensorflow/tfjs-core";
import { withGradient } from "../tensor/nn/with-gradient.js";
import type { Rotation } from "./rotary.js";

/** x / sqrt(mean(x^2) + epsilon) over the last axis (RMSNorm, arXiv 1910.07467) without its gain. */
export function normalise<T extends tf.Tensor>(x: T, epsilon: number): T {
  return withGradient([x], (input) => {
    const inverse = tf.rsqrt(tf.add(tf.mean(tf.square(input), -1, true), epsilon));
    const normal = tf.mul(input, inverse) as T;
    const gradients = (dy: tf.Tensor, y: tf.Tensor, scale: tf.Tensor) => [
      tf.mul(scale, tf.sub(dy, tf.mul(y, tf.mean(tf.mul(dy, y), -1, true)))),
    ];
    return { value: normal, saved: [normal, inverse], gradients };
  });
}

/** x -> cos * x + sin * swap(x), all [rows, heads, headDim]: see Rotation. */
export function rotate(x: tf.Tensor3D, { cos, sin }: Rotation): tf.Tensor3D {
  return withGradient([x], (input) => ({
    value: tf.add(tf.mul(input, cos), tf.mul(swapHalves(input), sin)) as tf.Tensor3D,
    saved: [cos, sin],
    // Swapping is its own transpose.
    gradients: (dy, c, s) => [tf.add(tf.mul(dy, c), swapHalves(tf.mul(dy, s)))],
  }));
}

function swapHalves(x: tf.Tensor): tf.Tensor {
  const [first, second] = tf.split(x, 2, -1) as [tf.Tensor, tf.Tensor];
  return tf.concat([second, first], -1);
}

/** silu(gate) * up of x = [gate, up], [rows, 2 * width] -> [rows, width] (SwiGLU, arXiv 2002.05202). */
export function swiglu(x: tf.Tensor2D): tf.Tensor2D {
  return withGradient([x], (input) => {
    const [gate, up] = tf.split(input, 2, 1) as [tf.Tensor2D, tf.Tensor2D];
    const open = tf.sigmoid(gate);
    const silu = tf.mul(gate, open);
    const gradients = (dy: tf.Tensor, s: tf.Tensor, y: tf.Tensor, factor: tf.Tensor) => {
      const slope = tf.add(s, tf.mul(y, tf.sub(1, s))); // d silu / d gate
      return [tf.concat([tf.mul(tf.mul(dy, factor), slope), tf.mul(dy, y)], 1)];
    };
    return { value: tf.mul(silu, up) as tf.Tensor2D, saved: [open, silu, up], gradients };
  });
}

/** log softmax(logits)[target] of each row: [rows, vocabulary], [rows] -> [rows], nats. */
export function targetLogProbs(logits: tf.Tensor2D, targets: tf.Tensor1D): tf.Tensor1D {
  const [rows, vocabulary] = logits.shape;
  return withGradient([logits], (input) => {
    const logProbs = tf.logSoftmax(input);
    const gradients = (dy: tf.Tensor, all: tf.Tensor, right: tf.Tensor) => [
      tf.mul(tf.expandDims(dy, 1), tf.sub(tf.oneHot(right, vocabulary), tf.exp(all))),
    ];
    // One index into all logits: wasm's gather reads out of bounds when it batches.
    const flat = tf.add(tf.range(0, rows * vocabulary, vocabulary, "int32"), targets) as tf.Tensor1D;
    const value = tf.gather(tf.reshape(logProbs, [-1]), flat) as tf.Tensor1D;
    return { value, saved: [logProbs, targets], gradients };
  });
}
