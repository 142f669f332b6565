import * as tf from "@tensorflow/tfjs-core";
import type { DecoderConfig, RopeConfig, RopeScaling } from "./config.js";

/**
 * What turns a fused [query | key | value] row into attention's inputs in one go, [rows, heads + 2 * kvHeads, headDim]:
 * x -> cos * x + sin * swap(x), where swap exchanges the halves of each head. Queries are also scaled by 1 / sqrt(headDim); values stay (1 and 0).
 */
export interface Rotation {
  readonly cos: tf.Tensor3D;
  /** Negative in the first half: the published checkpoints' half-split convention. */
  readonly sin: tf.Tensor3D;
}

/** Angular frequency of each of the headDim / 2 planes (RoPE, arXiv 2104.09864), scaled as the checkpoint says. */
export function ropeFrequencies({ theta, scaling }: RopeConfig, headDim: number): Float64Array {
  return Float64Array.from({ length: headDim / 2 }, (_, plane) => scaled(theta ** ((-2 * plane) / headDim), scaling));
}

function scaled(frequency: number, scaling: RopeScaling | null): number {
  if (scaling === null) return frequency;
  if (scaling.type === "linear") return frequency / scaling.factor;
  const { factor, lowFrequencyFactor, highFrequencyFactor, originalContext } = scaling;
  const turns = (originalContext * frequency) / (2 * Math.PI);
  if (turns < lowFrequencyFactor) return frequency / factor;
  if (turns > highFrequencyFactor) return frequency;
  const share = (turns - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor);
  return (1 - share) * (frequency / factor) + share * frequency;
}

/** The tables of one model, kept in the engine's memory for the positions met so far. */
export class Rotary {
  private readonly frequencies: Float64Array;
  private tables: { readonly cos: tf.Tensor2D; readonly sin: tf.Tensor2D } | undefined;
  private known = 0;

  constructor(private readonly config: DecoderConfig) {
    this.frequencies = ropeFrequencies(config.rope, config.headDim);
  }

  at(positions: Int32Array): Rotation {
    const { cos, sin } = this.upTo(positions.reduce((most, position) => Math.max(most, position), 0));
    const { heads, kvHeads, headDim } = this.config;
    return tf.tidy(() => {
      const rows = tf.tensor1d(positions, "int32");
      const pick = (table: tf.Tensor2D) => tf.reshape(tf.gather(table, rows), [-1, heads + 2 * kvHeads, headDim]) as tf.Tensor3D;
      return { cos: pick(cos), sin: pick(sin) };
    });
  }

  private upTo(position: number): { readonly cos: tf.Tensor2D; readonly sin: tf.Tensor2D } {
    if (this.tables !== undefined && position < this.known) return this.tables;
    this.dispose();
    this.known = Math.max(256, 2 ** Math.ceil(Math.log2(position + 1)));
    this.tables = this.build(this.known);
    return this.tables;
  }

  private build(positions: number) {
    const { heads, kvHeads, headDim } = this.config;
    const width = (heads + 2 * kvHeads) * headDim;
    const cos = new Float32Array(positions * width).fill(1);
    const sin = new Float32Array(positions * width);
    const planes = headDim / 2;
    for (let position = 0; position < positions; position++) {
      for (let head = 0; head < heads + kvHeads; head++) {
        const scale = head < heads ? 1 / Math.sqrt(headDim) : 1;
        const at = position * width + head * headDim;
        for (let plane = 0; plane < planes; plane++) {
          const angle = position * (this.frequencies[plane] as number);
          cos[at + plane] = cos[at + planes + plane] = scale * Math.cos(angle);
          sin[at + planes + plane] = scale * Math.sin(angle);
          sin[at + plane] = -(sin[at + planes + plane] as number);
        }
      }
    }
    // Made outside of any tidy: they outlive the pass that asked first.
    return { cos: tf.keep(tf.tensor2d(cos, [positions, width])), sin: tf.keep(tf.tensor2d(sin, [positions, width])) };
  }

  dispose(): void {
    if (this.tables !== undefined) tf.dispose([this.tables.cos, this.tables.sin]);
    this.tables = undefined;
    this.known = 0;
  }
}
