import * as tf from "@tensorflow/tfjs-core";
import type { Initializer, Parameters } from "../tensor/parameters.js";
import { type DecoderConfig, groupSize, qkvWidth } from "./config.js";

/**
 * Weights in the form the decoder multiplies with, [in, out]: queries, keys and values fused, gate and up apart, since cutting what one
 * product of both gives costs more than a second product.
 */
export interface DecoderWeights {
  readonly embedding: tf.Tensor2D; // [vocabulary, hidden]
  readonly layers: readonly LayerWeights[];
  readonly norm: tf.Tensor1D; // [hidden]
  /** Absent when the head is tied to the embedding. */
  readonly head?: tf.Tensor2D; // [hidden, vocabulary]
}
export interface LayerWeights {
  readonly inputNorm: tf.Tensor1D; // [hidden]
  readonly qkv: tf.Tensor2D; // [hidden, (heads + 2 * kvHeads) * headDim]
  readonly qkvBias?: tf.Tensor1D;
  readonly qkNorm?: tf.Tensor2D; // [heads + kvHeads, headDim]
  readonly out: tf.Tensor2D; // [heads * headDim, hidden]
  readonly postNorm: tf.Tensor1D; // [hidden]
  readonly gate: tf.Tensor2D; // [hidden, intermediate]
  readonly up: tf.Tensor2D; // [hidden, intermediate]
  readonly down: tf.Tensor2D; // [intermediate, hidden]
}

/** The matrices of a layer that LoRA may add to. */
export type Projection = "qkv" | "out" | "gate" | "up" | "down";

/** N(0, gain^2 / inputs): each output starts with the inputs' scale times the gain, whatever the width. */
const scaled =
  (gain: number): Initializer =>
  ([inputs = 1, outputs = 1], rng) => {
    const deviation = gain / Math.sqrt(inputs);
    return Float32Array.from({ length: inputs * outputs }, () => deviation * rng.normal());
  };
/** Rows of a tied embedding are also the head's columns: N(0, 1 / hidden) gives logits of unit scale. */
const embedded: Initializer = ([rows = 1, hidden = 1], rng) =>
  Float32Array.from({ length: rows * hidden }, () => rng.normal() / Math.sqrt(hidden));
/**
 * An output projection that undoes the value projection it stands after, so that attention begins as copying and a small corpus need not
 * teach it (mimetic initialisation, Trockman & Kolter 2023, arXiv 2305.09828). @param qkv the fused matrix of the same layer
 */
function copying(config: DecoderConfig, qkv: Float32Array): Initializer {
  const { heads, kvHeads, headDim, hidden } = config;
  const firstValue = (heads + kvHeads) * headDim;
  return () => {
    const out = new Float32Array(heads * headDim * hidden);
    for (let row = 0; row < heads * headDim; row++) {
      const kvHead = Math.floor(row / headDim / groupSize(config));
      const column = firstValue + kvHead * headDim + (row % headDim);
      for (let feature = 0; feature < hidden; feature++)
        out[row * hidden + feature] = copyGain * (qkv[feature * qkvWidth(config) + column] as number);
    }
    return out;
  };
}
/** Of 0.5 to 4, tried on dialogues that answer from their prompt: 2 and 4 learnt it alike, less was slower. */
const copyGain = 2;

const ones: Initializer = (shape) => new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(1);
const zeros: Initializer = (shape) => new Float32Array(shape.reduce((a, b) => a * b, 1));

/** Trainable weights; what feed-forward layers write into the residual starts smaller by sqrt(2 * layers), as GPT-2's. */
export function createWeights(config: DecoderConfig, parameters: Parameters): DecoderWeights {
  const { vocabulary, hidden, layers, heads, kvHeads, headDim, intermediate } = config;
  const inner = scaled(1);
  const residual = scaled(1 / Math.sqrt(2 * layers));
  const matrix = (scope: Parameters, name: string, rows: number, columns: number, initializer = inner) =>
    scope.create(name, [rows, columns], initializer) as tf.Tensor as tf.Tensor2D;
  const vector = (scope: Parameters, name: string, length: number, initializer = ones) =>
    scope.create(name, [length], initializer) as tf.Tensor as tf.Tensor1D;
  const layer = (scope: Parameters): LayerWeights => {
    let drawn: Float32Array = new Float32Array();
    const qkv = matrix(scope, "qkv", hidden, qkvWidth(config), (shape, rng) => {
      drawn = inner(shape, rng);
      return drawn;
    });
    return {
      inputNorm: vector(scope, "inputNorm", hidden),
      qkv,
      ...(config.qkvBias && { qkvBias: vector(scope, "qkvBias", qkvWidth(config), zeros) }),
      ...(config.qkNorm && { qkNorm: matrix(scope, "qkNorm", heads + kvHeads, headDim, ones) }),
      out: matrix(scope, "out", heads * headDim, hidden, copying(config, drawn)),
      postNorm: vector(scope, "postNorm", hidden),
      gate: matrix(scope, "gate", hidden, intermediate),
      up: matrix(scope, "up", hidden, intermediate),
      down: matrix(scope, "down", intermediate, hidden, residual),
    };
  };
  return {
    embedding: matrix(parameters, "embedding", vocabulary, hidden, embedded),
    layers: Array.from({ length: layers }, (_, index) => layer(parameters.scope(`layers.${index}`))),
    norm: vector(parameters, "norm", hidden),
    ...(!config.tiedHead && { head: matrix(parameters, "head", hidden, vocabulary) }),
  };
}

/** One tensor of a checkpoint in the published layout: matrices are [out, in]. */
export interface CheckpointTensor {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/**
 * Frozen weights from a checkpoint under Hugging Face's names (`model.layers.0.self_attn.q_proj.weight`, …); the caller disposes them
 * (`disposeWeights`). One tensor at a time is read, so that little more than the weights themselves is held.
 */
export async function weightsFromCheckpoint(
  config: DecoderConfig,
  read: (name: string) => CheckpointTensor | Promise<CheckpointTensor>,
): Promise<DecoderWeights> {
  const made: tf.Tensor[] = [];
  const load = async (name: string): Promise<tf.Tensor> => {
    const { shape, values } = await read(name);
    const tensor = tf.tensor(values, [...shape], "float32");
    made.push(tensor);
    return tensor;
  };
  /** Joins what was read and frees the parts. */
  const joined = async <Rank extends tf.Tensor>(names: readonly string[], join: (parts: tf.Tensor[]) => tf.Tensor): Promise<Rank> => {
    const parts: tf.Tensor[] = [];
    for (const name of names) parts.push(await load(name));
    const whole = tf.tidy(() => join(parts));
    tf.dispose(parts);
    made.push(whole);
    return whole as Rank;
  };
  const vector = (name: string) => load(name) as Promise<tf.Tensor1D>;
  const matrix = (...names: string[]) =>
    joined<tf.Tensor2D>(
      names.map((name) => `${name}.weight`),
      (parts) => tf.transpose(parts.length === 1 ? (parts[0] as tf.Tensor) : tf.concat(parts, 0)),
    );
  const layer = async (index: number): Promise<LayerWeights> => {
    const prefix = `model.layers.${index}`;
    const attention = `${prefix}.self_attn`;
    const qkv = ["q_proj", "k_proj", "v_proj"].map((name) => `${attention}.${name}`);
    const biases = qkv.map((name) => `${name}.bias`);
    const norms = ["q_norm", "k_norm"].map((name) => `${attention}.${name}.weight`);
    return {
      inputNorm: await vector(`${prefix}.input_layernorm.weight`),
      qkv: await matrix(...qkv),
      ...(config.qkvBias && { qkvBias: await joined<tf.Tensor1D>(biases, (parts) => tf.concat(parts)) }),
      ...(config.qkNorm && { qkNorm: await joined<tf.Tensor2D>(norms, (parts) => headNorms(config, parts)) }),
      out: await matrix(`${attention}.o_proj`),
      postNorm: await vector(`${prefix}.post_attention_layernorm.weight`),
      gate: await matrix(`${prefix}.mlp.gate_proj`),
      up: await matrix(`${prefix}.mlp.up_proj`),
      down: await matrix(`${prefix}.mlp.down_proj`),
    };
  };
  try {
    const embedding = (await load("model.embed_tokens.weight")) as tf.Tensor2D;
    const layers: LayerWeights[] = [];
    for (let index = 0; index < config.layers; index++) layers.push(await layer(index));
    const norm = await vector("model.norm.weight");
    return { embedding, layers, norm, ...(!config.tiedHead && { head: await matrix("lm_head") }) };
  } catch (error) {
    tf.dispose(made);
    throw error;
  }
}

/** One row of gains a head, so that queries and keys are normed together. */
function headNorms({ heads, kvHeads, headDim }: DecoderConfig, [query, key]: readonly tf.Tensor[]): tf.Tensor {
  const rows = (gain: tf.Tensor | undefined, count: number) => tf.tile(tf.reshape(gain as tf.Tensor, [1, headDim]), [count, 1]); // both were read
  return tf.concat([rows(query, heads), rows(key, kvHeads)], 0);
}

export function disposeWeights({ embedding, layers, norm, head }: DecoderWeights): void {
  const all: (tf.Tensor | undefined)[] = [embedding, norm, head, ...layers.flatMap((layer) => Object.values(layer) as tf.Tensor[])];
  tf.dispose(all.filter((tensor) => tensor !== undefined));
}
