import * as tf from "@tensorflow/tfjs-core";
import type { Mode } from "../../contracts/recommender.js";
import type { Initializer, Parameters } from "../parameters.js";
import { relu } from "./activations.js";
import { dropout } from "./dropout.js";
import { heUniform, xavierUniform, zeros } from "./initialisers.js";

export interface DenseShape {
  readonly inputs: number;
  readonly outputs: number;
  /** Default true. */
  readonly bias?: boolean;
  /** Default Xavier uniform. */
  readonly initialiser?: Initializer;
}

/** x W + b over the last dimension, whatever the rank. */
export function dense(scope: Parameters, { inputs, outputs, bias = true, initialiser = xavierUniform }: DenseShape) {
  const weights = scope.create("weights", [inputs, outputs], initialiser);
  const biases = bias ? scope.create("biases", [outputs], zeros) : undefined;
  return <Rank extends tf.Tensor>(x: Rank): Rank => {
    const rows = x.rank === 2 ? (x as tf.Tensor as tf.Tensor2D) : tf.reshape(x, [-1, inputs]);
    const product = tf.matMul(rows, weights as unknown as tf.Tensor2D); // [rows, outputs]
    const sum = biases ? tf.add(product, biases) : product;
    return (x.rank === 2 ? sum : tf.reshape(sum, [...x.shape.slice(0, -1), outputs])) as tf.Tensor as Rank;
  };
}

/**
 * A stack of dense layers with ReLU and dropout after each but the last, which is linear.
 * @param widths of the layers; the last is the output's
 */
export function mlp(scope: Parameters, inputs: number, widths: readonly number[], rate = 0) {
  const layers = widths.map((outputs, i) =>
    dense(scope.scope(`layer${i}`), {
      inputs: i === 0 ? inputs : (widths[i - 1] as number),
      outputs,
      initialiser: i === widths.length - 1 ? xavierUniform : heUniform,
    }),
  );
  return <Rank extends tf.Tensor>(x: Rank, mode: Mode): Rank =>
    layers.reduce((value, layer, i) => (i === layers.length - 1 ? layer(value) : dropout(relu(layer(value)), rate, mode)), x);
}
