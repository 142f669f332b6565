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
    const { normal, inverse } = normalised(input, epsilon);
    return {
      value: normal,
      saved: [normal, inverse],
      gradients: (dy, y, scale) => [normaliseGradient(dy, y as tf.Tensor, scale as tf.Tensor)],
    };
  });
}

/** `normalise` with what its gradient needs: the result, and 1 / sqrt(mean(x^2) + epsilon). */
export function normalised<T extends tf.Tensor>(x: T, epsilon: number): { readonly normal: T; readonly inverse: tf.Tensor } {
  const inverse = tf.rsqrt(tf.add(tf.mean(tf.square(x), -1, true), epsilon));
  return { normal: tf.mul(x, inverse) as T, inverse };
}

export function normaliseGradient<T extends tf.Tensor>(dy: T, normal: tf.Tensor, inverse: tf.Tensor): T {
  return tf.mul(inverse, tf.sub(dy, tf.mul(normal, tf.mean(tf.mul(dy, normal), -1, true)))) as T;
}

/** x -> cos * x + sin * swap(x), all [rows, heads, headDim]: see Rotation. */
export function rotate(x: tf.Tensor3D, { cos, sin }: Rotation): tf.Tensor3D {
  return withGradient([x], (input) => ({
    value: rotated(input, { cos, sin }),
    saved: [cos, sin],
    gradients: (dy, cos, sin) => [rotateGradient(dy as tf.Tensor3D, { cos, sin } as Rotation)],
  }));
}

export function rotated(x: tf.Tensor3D, { cos, sin }: Rotation): tf.Tensor3D {
  return tf.add(tf.mul(x, cos), tf.mul(swapHalves(x), sin));
}

/** Swapping is its own transpose. */
export function rotateGradient(dy: tf.Tensor3D, { cos, sin }: Rotation): tf.Tensor3D {
  return tf.add(tf.mul(dy, cos), swapHalves(tf.mul(dy, sin)));
}

function swapHalves(x: tf.Tensor): tf.Tensor {
  const [first, second] = tf.split(x, 2, -1) as [tf.Tensor, tf.Tensor];
  return tf.concat([second, first], -1);
}

/** silu(gate) * up, all [rows, width] (SwiGLU, arXiv 2002.05202). */
export function swiglu(gate: tf.Tensor2D, up: tf.Tensor2D): tf.Tensor2D {
  return withGradient([gate, up], (gate, up) => ({
    value: gated(gate, up),
    saved: [gate, up],
    gradients: (dy, ...saved) => {
      const { gate, up } = gatedGradient(dy, ...(saved as [tf.Tensor2D, tf.Tensor2D]));
      return [gate, up];
    },
  }));
}

/** `swiglu` off the tape. */
export function gated(gate: tf.Tensor2D, up: tf.Tensor2D): tf.Tensor2D {
  return tf.mul(tf.mul(gate, tf.sigmoid(gate)), up);
}

export function gatedGradient(dy: tf.Tensor, gate: tf.Tensor2D, up: tf.Tensor2D): { readonly gate: tf.Tensor2D; readonly up: tf.Tensor2D } {
  const open = tf.sigmoid(gate);
  const silu = tf.mul(gate, open);
  const slope = tf.add(open, tf.mul(silu, tf.sub(1, open))); // d silu / d gate
  return { gate: tf.mul(tf.mul(dy, up), slope), up: tf.mul(dy, silu) };
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
