import * as tf from "@tensorflow/tfjs-core";
import { plus } from "../tensor/nn/activations.js";
import type { DecoderConfig } from "./config.js";
import { normalise, rotate, swiglu } from "./ops.js";
import type { Rotation } from "./rotary.js";
import type { DecoderWeights, LayerWeights, Projection } from "./weights.js";

/** What the layers see: every token of every sequence is a row, so that all projections are plain matrix products. */
export interface DecoderInput {
  readonly tokens: tf.Tensor1D; // int32 [rows]
  readonly rotation: Rotation;
}

/**
 * Attention among the rows, which alone knows how rows make sequences.
 * @param query [rows, heads, headDim], scaled by 1 / sqrt(headDim); @param key and value [rows, kvHeads, headDim]; @returns [rows, heads * headDim]
 */
export type Attend = (layer: number, query: tf.Tensor3D, key: tf.Tensor3D, value: tf.Tensor3D) => tf.Tensor2D;

/** A low-rank addition to a projection of a layer; null where there is none. [rows, in] -> [rows, out] */
export type Delta = (layer: number, projection: Projection, input: tf.Tensor2D) => tf.Tensor2D | null;

/**
 * The rows whose hidden states are asked for. Keys and values of the last layer are still those of all rows; its queries, and all that
 * follows them, are computed for these alone: of two layers that saves nearly one.
 */
export interface Focus {
  readonly rows: tf.Tensor1D; // int32 [focused]
  /** Attention of the last layer: queries [focused, heads, headDim] over the keys of all rows. */
  readonly attend: Attend;
}

/** Ways to compute some of a decoder's parts otherwise. */
export interface DecodeOptions {
  readonly delta?: Delta | undefined;
  readonly focus?: Focus;
  /** A layer as one operation with a gradient of its own: [rows, hidden] -> [rows, hidden]; not asked for a layer that is focused. */
  readonly whole?: ((layer: number, residual: tf.Tensor2D) => tf.Tensor2D) | undefined;
}

/** Hidden states before the last norm, [rows, hidden] or [focused, hidden]. Pure; call it inside a tidy or on a tape. */
export function decode(
  config: DecoderConfig,
  weights: DecoderWeights,
  input: DecoderInput,
  attend: Attend,
  { delta = () => null, focus, whole }: DecodeOptions = {},
): tf.Tensor2D {
  let residual = tf.gather(weights.embedding, input.tokens) as tf.Tensor2D; // [rows, hidden]
  const last = weights.layers.length - 1;
  weights.layers.forEach((layer, index) => {
    const project = (projection: Projection, x: tf.Tensor2D): tf.Tensor2D => {
      const base: tf.Tensor2D = tf.matMul(x, layer[projection]);
      const added = delta(index, projection, x);
      return added === null ? base : tf.add(base, added);
    };
    const narrow = index === last ? focus : undefined;
    // What a layer makes on its way is freed with it; a tape keeps what it needs.
    residual = tf.tidy(() =>
      whole !== undefined && narrow === undefined
        ? whole(index, residual)
        : decodeLayer(config, layer, index, residual, input, project, attend, narrow),
    );
  });
  return residual;
}

function decodeLayer(
  config: DecoderConfig,
  layer: LayerWeights,
  index: number,
  residual: tf.Tensor2D,
  { rotation }: DecoderInput,
  project: (projection: Projection, x: tf.Tensor2D) => tf.Tensor2D,
  attend: Attend,
  narrow: Focus | undefined,
): tf.Tensor2D {
  const { query, key, value } = queryKeyValue(config, layer, project("qkv", norm(config, residual, layer.inputNorm)), rotation);
  const mixed =
    narrow === undefined
      ? attend(index, query, key, value)
      : narrow.attend(index, tf.gather(query, narrow.rows) as tf.Tensor3D, key, value);
  const before = narrow === undefined ? residual : (tf.gather(residual, narrow.rows) as tf.Tensor2D);
  const between: tf.Tensor2D = plus(before, project("out", mixed));
  const after = norm(config, between, layer.postNorm);
  return plus(between, project("down", swiglu(project("gate", after), project("up", after))));
}

/** Logits of chosen rows of `decode`'s result: [rows, hidden] -> [rows, vocabulary]. */
export function logits(config: DecoderConfig, weights: DecoderWeights, hidden: tf.Tensor2D): tf.Tensor2D {
  const normed = finalNorm(config, weights, hidden);
  return weights.head === undefined ? tf.matMul(normed, weights.embedding, false, true) : tf.matMul(normed, weights.head);
}

/** What the head reads: the states of `decode` after the last norm. */
export function finalNorm(config: DecoderConfig, weights: DecoderWeights, states: tf.Tensor2D): tf.Tensor2D {
  return norm(config, states, weights.norm);
}

function norm(config: DecoderConfig, x: tf.Tensor2D, gain: tf.Tensor1D): tf.Tensor2D {
  return tf.mul(normalise(x, config.normEpsilon), gain);
}

function queryKeyValue(config: DecoderConfig, layer: LayerWeights, projected: tf.Tensor2D, rotation: Rotation) {
  const { heads, kvHeads, headDim } = config;
  const biased = layer.qkvBias === undefined ? projected : tf.add(projected, layer.qkvBias);
  const byHead = tf.reshape(biased, [-1, heads + 2 * kvHeads, headDim]) as tf.Tensor3D;
  const normed = layer.qkNorm === undefined ? byHead : normQueriesAndKeys(config, byHead, layer.qkNorm);
  const [query, key, value] = tf.split(rotate(normed, rotation), [heads, kvHeads, kvHeads], 1) as [tf.Tensor3D, tf.Tensor3D, tf.Tensor3D];
  return { query, key, value };
}

function normQueriesAndKeys(config: DecoderConfig, x: tf.Tensor3D, gain: tf.Tensor2D): tf.Tensor3D {
  const { heads, kvHeads, normEpsilon } = config;
  const [queryKey, value] = tf.split(x, [heads + kvHeads, kvHeads], 1) as [tf.Tensor3D, tf.Tensor3D];
  return tf.concat([tf.mul(normalise(queryKey, normEpsilon), gain) as tf.Tensor3D, value], 1);
}
