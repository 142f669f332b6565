/** Training's view of prompts with several completions: one row an example, the prompt computed once for all of them. */
import * as tf from "@tensorflow/tfjs-core";
import type { TokenizedExample } from "../contracts/llm.js";
import { adaptedLayer } from "./adapted-layer.js";
import { attendWithin } from "./attention.js";
import type { DecoderConfig } from "./config.js";
import { decode, logits } from "./decoder.js";
import type { AdapterPass } from "./lora.js";
import { targetLogProbs } from "./ops.js";
import type { Rotary } from "./rotary.js";
import type { DecoderWeights, LayerWeights } from "./weights.js";

/** Examples side by side: `prompt completion_1 … completion_k padding`, the positions of each completion going on from the prompt's. */
export interface PackedBatch {
  readonly rows: number;
  /** Tokens a row, padded. */
  readonly length: number;
  readonly tokens: Int32Array; // [rows * length]
  readonly positions: Int32Array; // [rows * length]
  /** 0 where a token may look, else far below. [rows, length, length] */
  readonly mask: Float32Array;
  /** Flat positions whose hidden state predicts a token that counts. [targets] */
  readonly sources: Int32Array;
  readonly targets: Int32Array; // [targets]
  /** Which sum a target belongs to: row * sums + completion. [targets] */
  readonly segments: Int32Array;
  /** Sums a row: its completions, and the prompt's own when asked for (the last). */
  readonly sums: number;
}

const hidden = -1e9;

/** @param withPrompt the prompt's own tokens are counted too, as one more sum */
export function pack(examples: readonly TokenizedExample[], withPrompt = false): PackedBatch {
  const lengths = examples.map(({ prompt, completions }) => completions.reduce((sum, { length }) => sum + length, prompt.length));
  const rows = examples.length;
  const length = Math.max(...lengths);
  const completions = examples[0]?.completions.length ?? 0;
  const sums = completions + (withPrompt ? 1 : 0);
  const tokens = new Int32Array(rows * length);
  const positions = new Int32Array(rows * length);
  const mask = new Float32Array(rows * length * length).fill(hidden);
  const sources: number[] = [];
  const targets: number[] = [];
  const segments: number[] = [];
  const count = (source: number, target: number, segment: number) => {
    sources.push(source);
    targets.push(target);
    segments.push(segment);
  };
  examples.forEach((example, row) => {
    if (example.completions.length !== completions) throw new Error("examples of one batch have the same number of completions");
    const first = row * length;
    const { prompt } = example;
    const see = (at: number, from: number, to: number) => mask.fill(0, (first + at) * length + from, (first + at) * length + to);
    prompt.forEach((token, at) => {
      tokens[first + at] = token;
      positions[first + at] = at;
      see(at, 0, at + 1);
      if (withPrompt && at > 0) count(first + at - 1, token, row * sums + completions);
    });
    let start = prompt.length;
    example.completions.forEach((completion, index) => {
      completion.forEach((token, offset) => {
        const at = start + offset;
        tokens[first + at] = token;
        positions[first + at] = prompt.length + offset;
        see(at, 0, prompt.length);
        see(at, start, at + 1);
        // The first token follows the prompt, whichever completion it belongs to.
        count(first + (offset === 0 ? prompt.length : at) - 1, token, row * sums + index);
      });
      start += completion.length;
    });
    for (let at = start; at < length; at++) see(at, at, at + 1); // padding sees itself: a row of nothing has no softmax
  });
  return {
    rows,
    length,
    tokens,
    positions,
    mask,
    sources: Int32Array.from(sources),
    targets: Int32Array.from(targets),
    segments: Int32Array.from(segments),
    sums,
  };
}

/** The stretch of each row in which something predicts a token that counts: all that the last layer has to compute. */
interface Stretch {
  /** Tokens a row. */
  readonly length: number;
  readonly rows: Int32Array; // flat positions, [rows * length]
  readonly mask: Float32Array; // [rows, length, batch.length]
  /** `sources`, counted within the stretch. [targets] */
  readonly sources: Int32Array;
}

function stretchOf({ rows, length, mask, sources }: PackedBatch): Stretch {
  const first = new Int32Array(rows).fill(length);
  const last = new Int32Array(rows);
  for (const source of sources) {
    const row = Math.floor(source / length);
    first[row] = Math.min(first[row] as number, source % length);
    last[row] = Math.max(last[row] as number, source % length);
  }
  const longest = Math.max(1, ...first.map((from, row) => (last[row] as number) - from + 1));
  const from = first.map((at) => Math.min(at, length - longest));
  const flat = Int32Array.from({ length: rows * longest }, (_, i) => {
    const row = Math.floor(i / longest);
    return row * length + (from[row] as number) + (i % longest);
  });
  const seen = new Float32Array(flat.length * length);
  for (const [i, position] of flat.entries()) seen.set(mask.subarray(position * length, (position + 1) * length), i * length);
  const within = sources.map((source) => {
    const row = Math.floor(source / length);
    return row * longest + (source % length) - (from[row] as number);
  });
  return { length: longest, rows: flat, mask: seen, sources: within };
}

/** Sums of log-probs of the packed completions, [rows, sums], nats. Differentiable; call it inside a tidy or on a tape. */
export function packedLogProbs(
  config: DecoderConfig,
  weights: DecoderWeights,
  rotary: Rotary,
  batch: PackedBatch,
  adapter?: AdapterPass & { /** Keep a layer's input alone, and compute the rest again for its gradient. */ readonly recompute: boolean },
): tf.Tensor2D {
  const { rows, length, sums } = batch;
  const stretch = stretchOf(batch);
  const mask = tf.tensor4d(batch.mask, [rows, 1, length, length]);
  const narrowMask = tf.tensor4d(stretch.mask, [rows, 1, stretch.length, length]);
  const input = { tokens: tf.tensor1d(batch.tokens, "int32"), rotation: rotary.at(batch.positions) };
  const focus = { rows: tf.tensor1d(stretch.rows, "int32"), attend: attendWithin(config, rows, length, narrowMask) };
  const sequences = { config, rows, length, mask, rotation: input.rotation };
  const whole =
    adapter &&
    ((index: number, residual: tf.Tensor2D) =>
      adaptedLayer(sequences, weights.layers[index] as LayerWeights, residual, adapter.factors(index, rows * length), adapter.recompute));
  const attend = attendWithin(config, rows, length, mask);
  const states = decode(config, weights, input, attend, { delta: adapter?.delta, focus, whole }); // [rows * stretch, hidden]
  const predicting = tf.gather(states, tf.tensor1d(stretch.sources, "int32")) as tf.Tensor2D; // [targets, hidden]
  const logProbs = targetLogProbs(logits(config, weights, predicting), tf.tensor1d(batch.targets, "int32")); // [targets]
  // A product with the 0/1 matrix of memberships: an exact sum whose gradient every engine has.
  const membership = new Float32Array(rows * sums * batch.targets.length);
  batch.segments.forEach((segment, target) => {
    membership[segment * batch.targets.length + target] = 1;
  });
  const member = tf.tensor2d(membership, [rows * sums, batch.targets.length]);
  return tf.reshape(tf.matMul(member, tf.expandDims(logProbs, 1)), [rows, sums]);
}
