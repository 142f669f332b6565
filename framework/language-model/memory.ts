/** What language models take of the engine's memory, estimated before it is taken. */
import { type DecoderConfig, parameterCount, qkvWidth } from "./config.js";

const float = 4; // bytes

/** Weights, and beside them the largest joined matrix with its parts while it is put together. */
export function loadingBytes(config: DecoderConfig): number {
  const { hidden, intermediate, vocabulary, tiedHead } = config;
  const largest = Math.max(hidden * intermediate, hidden * qkvWidth(config), tiedHead ? 0 : vocabulary * hidden);
  return float * (parameterCount(config) + 2 * largest);
}

/** A batch of one pass with gradients. */
export interface TuningBatch {
  readonly rows: number;
  /** Tokens a row: prompt and completions. */
  readonly length: number;
  /** Tokens of completions, of all rows. */
  readonly targets: number;
}

/** What the gradients of all layers read of the forward pass, where it is kept (adapted-layer.ts names it). */
export function keptBytes(config: DecoderConfig, batch: TuningBatch): number {
  return config.layers * layerBytes(config, batch);
}

function layerBytes(config: DecoderConfig, { rows, length }: TuningBatch): number {
  const { hidden, heads, headDim, intermediate } = config;
  return float * rows * length * (3 * hidden + qkvWidth(config) + heads * headDim + 2 * intermediate + heads * length);
}

/**
 * A pass with gradients: weights, what is kept for the gradients, one layer at work (three times what it keeps), five tables of logits,
 * and the adapter with its gradients and the optimiser's two moments.
 * @param adapter trainable numbers @param recompute keeps a layer's input alone
 */
export function tuningBytes(config: DecoderConfig, batch: TuningBatch, adapter: number, recompute: boolean): number {
  const inputs = float * config.layers * batch.rows * batch.length * config.hidden;
  const kept = recompute ? inputs : keptBytes(config, batch);
  const logits = 5 * float * batch.targets * config.vocabulary;
  return float * (parameterCount(config) + 4 * adapter) + kept + 3 * layerBytes(config, batch) + logits;
}
