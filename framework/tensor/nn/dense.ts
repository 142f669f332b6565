import * as tf from "@tensorflow/tfjs-core";
import type { Mode } from "../../contracts/recommender.js";
import type { Initializer, Parameters } from "../parameters.js";
import { gelu } from "./activations.js";
import { dropout } from "./dropout.js";
import { heUniform, xavierUniform, zeros } from "./initialisers.js";
import { biasGradient, reluGradient } from "./native.js";
import { withGradient } from "./with-gradient.js";

export interface DenseShape {
  readonly inputs: number;
  readonly outputs: number;
  /** Default none. */
  readonly activation?: "relu" | "gelu";
  /** Default Xavier uniform, He uniform before a rectifier. */
  readonly initialiser?: Initializer;
}

/** activation(x W + b) over the last dimension, whatever the rank; a matrix costs least. */
export function dense(scope: Parameters, { inputs, outputs, activation, initialiser }: DenseShape) {
  const weights = scope.create("weights", [inputs, outputs], initialiser ?? (activation === "relu" ? heUniform : xavierUniform));
  const biases = scope.create("biases", [outputs], zeros);
  return <Rank extends tf.Tensor>(x: Rank): Rank => {
    const rows = x.rank === 2 ? x : tf.reshape(x, [-1, inputs]);
    const sum = affine(rows, weights, biases, activation === "relu" ? "relu" : undefined); // [rows, outputs]
    const value = activation === "gelu" ? gelu(sum) : sum;
    return (x.rank === 2 ? value : tf.reshape(value, [...x.shape.slice(0, -1), outputs])) as Rank;
  };
}

/** x W over the last dimension, without biases. */
export function linear(scope: Parameters, { inputs, outputs, initialiser }: Omit<DenseShape, "activation">) {
  const weights = scope.create("weights", [inputs, outputs], initialiser ?? xavierUniform) as tf.Tensor as tf.Tensor2D;
  return <Rank extends tf.Tensor>(x: Rank): Rank => {
    const product = tf.matMul(x.rank === 2 ? (x as tf.Tensor as tf.Tensor2D) : tf.reshape(x, [-1, inputs]), weights);
    return (x.rank === 2 ? product : tf.reshape(product, [...x.shape.slice(0, -1), outputs])) as tf.Tensor as Rank;
  };
}

/** x W + b, of matrices: one op for the tape. Its own gradient of a sum or a ReLU takes several times the ops; an op costs more than its work where layers are small. */
export function affine(x: tf.Tensor, weights: tf.Tensor, biases: tf.Tensor, activation?: "relu"): tf.Tensor {
  return withGradient([x, weights, biases], (x, weights, biases) => {
    const sum = tf.add(tf.matMul(x as tf.Tensor2D, weights as tf.Tensor2D), biases);
    const value = activation === "relu" ? tf.relu(sum) : sum;
    return {
      value,
      saved: activation === "relu" ? [x, weights, value] : [x, weights],
      gradients: (dy, ...saved) => {
        const [x, weights, value] = saved as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D?];
        const inner = (value ? reluGradient(dy, value) : dy) as tf.Tensor2D;
        return [tf.matMul(inner, weights, false, true), tf.matMul(x, inner, true, false), biasGradient(inner)];
      },
    };
  });
}

/**
 * A stack of dense layers with a rectifier and dropout after each but the last, which is linear.
 * @param widths of the layers; the last is the output's
 */
export function mlp(scope: Parameters, inputs: number, widths: readonly number[], rate = 0, activation: "relu" | "gelu" = "relu") {
  const layers = widths.map((outputs, i) => {
    const shape = { inputs: i === 0 ? inputs : (widths[i - 1] as number), outputs };
    return dense(scope.scope(`layer${i}`), i === widths.length - 1 ? shape : { ...shape, activation });
  });
  return <Rank extends tf.Tensor>(x: Rank, mode: Mode): Rank =>
    layers.reduce((value, layer, i) => (i === layers.length - 1 ? layer(value) : dropout(layer(value), rate, mode)), x);
}
