/** Experts: small networks side by side, and what a gate makes of them. */
import * as tf from "@tensorflow/tfjs-core";
import type { Mode } from "../contracts/recommender.js";
import { biasGradient, dropout, heUniform, reluGradient, withGradient, xavierUniform, zeros } from "../tensor/nn/index.js";
import type { Initializer, Parameters } from "../tensor/parameters.js";
import { type AdaptedOutput, rectifiedOutput } from "./adapted-output.js";

export interface ExpertShape {
  /** Of a text's vector. */
  readonly width: number;
  readonly hidden: number;
  readonly adapted: number;
}

/** Experts side by side, so that a layer of all of them is one matrix product. */
export interface Experts {
  readonly inWeights: tf.Tensor2D; // [width, count * hidden]
  readonly inBiases: tf.Tensor1D; // [count * hidden]
  readonly outWeights: tf.Tensor2D; // [count * hidden, adapted]
  readonly outBiases: tf.Tensor2D; // [count, adapted]
  readonly count: number;
}

/** @returns undefined for none */
export function experts(scope: Parameters, count: number, { width, hidden, adapted }: ExpertShape): Experts | undefined {
  if (count === 0) return undefined;
  /** Each expert is initialised as a layer of its own, whatever stands beside it. */
  const eachOf =
    (
      shape: readonly [number, number],
      initialiser: Initializer,
      place: (expert: number, row: number, column: number) => number,
    ): Initializer =>
    (whole, rng) => {
      const values = new Float32Array(whole.reduce((product, size) => product * size, 1));
      for (let expert = 0; expert < count; expert++)
        initialiser(shape, rng).forEach((value, i) => {
          values[place(expert, Math.floor(i / shape[1]), i % shape[1])] = value;
        });
      return values;
    };
  const beside = eachOf([width, hidden], heUniform, (expert, row, column) => (row * count + expert) * hidden + column);
  const below = eachOf([hidden, adapted], xavierUniform, (expert, row, column) => (expert * hidden + row) * adapted + column);
  return {
    inWeights: scope.create("inWeights", [width, count * hidden], beside) as tf.Tensor as tf.Tensor2D,
    inBiases: scope.create("inBiases", [count * hidden], zeros) as tf.Tensor as tf.Tensor1D,
    outWeights: scope.create("outWeights", [count * hidden, adapted], below) as tf.Tensor as tf.Tensor2D,
    outBiases: scope.create("outBiases", [count, adapted], zeros) as tf.Tensor as tf.Tensor2D,
    count,
  };
}

/**
 * Σ_e g_e(x) E_e(x), g = softmax of a linear gate, E = two layers with a ReLU between, and one after them where the output is to be rectified.
 * @param groups of experts, those of other mixtures among them; undefined ones are left out
 * @param top experts heard, those that the gate gives most; absent = all
 * @returns texts [n, width] -> [n, adapted]
 */
export function mixture(
  scope: Parameters,
  groups: readonly (Experts | undefined)[],
  { width, hidden }: ExpertShape,
  { rate, output, top }: { readonly rate: number; readonly output: AdaptedOutput; readonly top?: number },
) {
  const present = groups.filter((group) => group !== undefined);
  const count = present.reduce((sum, group) => sum + group.count, 0);
  const gateWeights = scope.create("gateWeights", [width, count], xavierUniform) as tf.Tensor as tf.Tensor2D;
  const gateBiases = scope.create("gateBiases", [count], zeros);
  return (texts: tf.Tensor2D, mode: Mode): tf.Tensor2D => {
    const logits = tf.add(tf.matMul(texts, gateWeights), gateBiases) as tf.Tensor2D; // [n, count]
    const gates = top === undefined || top >= count ? tf.softmax(logits) : sparseSoftmax(logits, top);
    // Drawing a mask for each expert would cost as much as the expert.
    const kept = dropout(tf.ones([texts.shape[0], 1, hidden]), rate, mode) as tf.Tensor3D;
    const all = together(present);
    return output === "linear" ? gatedSum(texts, all, gates, kept) : rectifiedSum(texts, all, gates, { kept, rate, mode });
  };
}

/** Softmax over the `top` largest of each row, 0 for the others (Shazeer et al. 2017, arXiv 1701.06538, eqs. 3-5, without noise). */
function sparseSoftmax(logits: tf.Tensor2D, top: number): tf.Tensor2D {
  return withGradient<[tf.Tensor2D], tf.Tensor2D>([logits], (logits) => {
    const least = tf.slice(tf.topk(logits, top).values, [0, top - 1], [-1, 1]); // [n, 1]
    const gates = tf.softmax(tf.where(tf.greaterEqual(logits, least), logits, Number.NEGATIVE_INFINITY)) as tf.Tensor2D;
    return {
      value: gates,
      saved: [gates],
      gradients: (dy, gates) => {
        const weighed = tf.mul(dy, gates as tf.Tensor);
        return [tf.sub(weighed, tf.mul(gates as tf.Tensor, tf.sum(weighed, 1, true)))];
      },
    };
  });
}

function together(groups: readonly Experts[]): Experts {
  if (groups.length === 1) return groups[0] as Experts;
  return {
    inWeights: tf.concat(
      groups.map(({ inWeights }) => inWeights),
      1,
    ),
    inBiases: tf.concat(groups.map(({ inBiases }) => inBiases)),
    outWeights: tf.concat(
      groups.map(({ outWeights }) => outWeights),
      0,
    ),
    outBiases: tf.concat(
      groups.map(({ outBiases }) => outBiases),
      0,
    ),
    count: groups.reduce((sum, { count }) => sum + count, 0),
  };
}

/**
 * Σ_e g_e relu(relu(x V_e + a_e) W_e + b_e): a rectified expert has to be computed before it is weighed.
 * @param texts [n, width]; @param gates [n, count]; @param kept as in gatedSum
 * @returns [n, adapted]
 */
function rectifiedSum(
  texts: tf.Tensor2D,
  { inWeights, inBiases, outWeights, outBiases, count }: Experts,
  gates: tf.Tensor2D,
  { kept, rate, mode }: { readonly kept: tf.Tensor3D; readonly rate: number; readonly mode: Mode },
): tf.Tensor2D {
  const [rows, adapted, inner] = [texts.shape[0], outWeights.shape[1], kept.shape[2]];
  const hidden = tf.reshape(tf.relu(tf.add(tf.matMul(texts, inWeights), inBiases)), [rows, count, inner]);
  const byExpert = tf.transpose(tf.mul(hidden, kept), [1, 0, 2]); // [count, n, hidden]
  const said = tf.add(tf.matMul(byExpert, tf.reshape(outWeights, [count, inner, adapted])), tf.expandDims(outBiases, 1));
  const heard = rectifiedOutput(said, rate, mode, [1, rows, adapted]); // [count, n, adapted]; a mask for all experts, as `kept` is
  return tf.sum(tf.mul(heard, tf.expandDims(tf.transpose(gates), 2)), 0) as tf.Tensor2D;
}

/**
 * Σ_e g_e (relu(x V_e + a_e) W_e + b_e), computed as (g ⊙ relu(x V + a)) W + g b: with the gate before the second layer both layers of
 * all experts are one matrix product each. Its gradient is written out, since the tape would not know that the texts are frozen.
 * @param texts [n, width]; @param gates [n, count]; @param kept dropout's mask of the hidden layers, [n, 1, hidden]
 * @returns [n, adapted]
 */
function gatedSum(texts: tf.Tensor2D, experts: Experts, gates: tf.Tensor2D, kept: tf.Tensor3D): tf.Tensor2D {
  const [rows, count] = gates.shape;
  const wide: [number, number, number] = [rows, count, kept.shape[2]];
  const flat = [rows, count * kept.shape[2]];
  type Inputs = [tf.Tensor2D, tf.Tensor1D, tf.Tensor2D, tf.Tensor2D, tf.Tensor2D];
  const { inWeights, inBiases, outWeights, outBiases } = experts;
  return withGradient<Inputs, tf.Tensor2D>([inWeights, inBiases, outWeights, outBiases, gates], (v, a, w, b, gates) => {
    const hidden = tf.relu(tf.add(tf.matMul(texts, v), a)); // [n, count * hidden]
    const weights = tf.reshape(tf.mul(tf.expandDims(gates, 2), kept), flat); // [n, count * hidden]
    const said = tf.mul(hidden, weights) as tf.Tensor2D;
    return {
      value: tf.add(tf.matMul(said, w), tf.matMul(gates, b)) as tf.Tensor2D,
      saved: [texts, hidden, weights, said, w, b, gates, kept],
      gradients: (dy, ...saved) => {
        const [texts, hidden, weights, said, w, b, gates, kept] = saved as [
          tf.Tensor2D,
          tf.Tensor2D,
          tf.Tensor2D,
          tf.Tensor2D,
          tf.Tensor2D,
          tf.Tensor2D,
          tf.Tensor2D,
          tf.Tensor3D,
        ];
        const out = dy as tf.Tensor2D;
        const dSaid = tf.matMul(out, w, false, true); // [n, count * hidden]
        const inner = reluGradient(tf.mul(dSaid, weights), hidden) as tf.Tensor2D;
        const heard = tf.matMul(tf.reshape(tf.mul(dSaid, hidden), wide) as tf.Tensor3D, kept, false, true); // [n, count, 1]
        const dGates = tf.add(tf.reshape(heard, [rows, count]), tf.matMul(out, b, false, true));
        return [
          tf.matMul(texts, inner, true, false),
          biasGradient(inner),
          tf.matMul(said, out, true, false),
          tf.matMul(gates, out, true, false),
          dGates,
        ];
      },
    };
  });
}
