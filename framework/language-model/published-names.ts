/** How the parts of a decoder are called where models are published (Hugging Face's Llama and Qwen), and where they stand in our fused matrices. */
import type { DecoderConfig } from "./config.js";
import type { Projection } from "./weights.js";

/** One part of a fused projection, under its usual name, with its columns. */
export interface Part {
  readonly name: ProjectionName;
  readonly from: number;
  readonly width: number;
}

export const projectionNames = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"] as const;
export type ProjectionName = (typeof projectionNames)[number];

export interface FusedProjection {
  /** Rows: features that go in. */
  readonly inputs: number;
  /** Columns of all parts. */
  readonly width: number;
  readonly parts: readonly Part[];
}

export function fusedProjections(config: DecoderConfig): Record<Projection, FusedProjection> {
  const { hidden, heads, kvHeads, headDim, intermediate } = config;
  const fuse = (inputs: number, widths: readonly (readonly [ProjectionName, number])[]): FusedProjection => {
    let width = 0;
    const parts = widths.map(([name, columns]) => {
      width += columns;
      return { name, from: width - columns, width: columns };
    });
    return { inputs, width, parts };
  };
  return {
    qkv: fuse(hidden, [
      ["q_proj", heads * headDim],
      ["k_proj", kvHeads * headDim],
      ["v_proj", kvHeads * headDim],
    ]),
    out: fuse(heads * headDim, [["o_proj", hidden]]),
    gate: fuse(hidden, [["gate_proj", intermediate]]),
    up: fuse(hidden, [["up_proj", intermediate]]),
    down: fuse(intermediate, [["down_proj", hidden]]),
  };
}

/** "model.layers.0.self_attn.q_proj" */
export function publishedProjection(layer: number, name: ProjectionName): string {
  const block = ["gate_proj", "up_proj", "down_proj"].includes(name) ? "mlp" : "self_attn";
  return `model.layers.${layer}.${block}.${name}`;
}

/** Some columns of a row-major [rows, width] matrix, turned: [count, rows]. Published matrices are [out, in], ours [in, out]. */
export function turnedColumns(values: Float32Array, rows: number, width: number, from = 0, count = width): Float32Array {
  const turned = new Float32Array(count * rows);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < count; column++) turned[column * rows + row] = values[row * width + from + column] as number;
  return turned;
}
