/** An adapter as llama.cpp reads it: GGUF version 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), as convert_lora_to_gguf.py writes it. */
import { writeAtomic } from "../store/files.js";
import { type Adapter, type AdapterMatrix, adapterMatrices } from "./adapter-files.js";
import { type Architecture, architectureOf, type DecoderConfig } from "./config.js";
import { float32, ggufFile, type WrittenTensor } from "./gguf-file.js";
import type { ProjectionName } from "./published-names.js";
import { turnedColumns } from "./published-names.js";

export const ggufNames: Readonly<Record<ProjectionName, string>> = {
  q_proj: "attn_q",
  k_proj: "attn_k",
  v_proj: "attn_v",
  o_proj: "attn_output",
  gate_proj: "ffn_gate",
  up_proj: "ffn_up",
  down_proj: "ffn_down",
};

/** @param path of the file, adapter.gguf */
export async function writeAdapterGguf(path: string, config: DecoderConfig, adapter: Adapter): Promise<void> {
  const architecture = architectureOf(config);
  const tensors = adapterMatrices(config, adapter.options).map((matrix) => ggufTensor(config, architecture, adapter, matrix));
  const metadata = {
    "general.architecture": architecture,
    "general.type": "adapter",
    "adapter.type": "lora",
    "adapter.lora.alpha": float32(adapter.options.alpha),
  };
  await writeAtomic(path, ggufFile(metadata, tensors));
}

/** A is [rank, in] and B [out, rank], as PEFT's. */
function ggufTensor(config: DecoderConfig, architecture: Architecture, { state }: Adapter, matrix: AdapterMatrix): WrittenTensor {
  const { layer, projection, side, name, shape } = matrix;
  const [rows, columns] = shape;
  const turned = turnedColumns((state[name] as { values: Float32Array }).values, rows, columns);
  const heads = projection === "q_proj" ? config.heads : projection === "k_proj" ? config.kvHeads : 0;
  const permuted = architecture === "llama" && side === "B" && heads > 0;
  return {
    name: `blk.${layer}.${ggufNames[projection]}.weight.lora_${side.toLowerCase()}`,
    shape: [columns, rows],
    format: "F32",
    read: async () => (permuted ? interleavedHalves(turned, columns, rows, heads) : turned),
  };
}

/**
 * llama.cpp's `llama` rotates neighbouring rows of a head, the published checkpoints a row of its first half with one of its second: its
 * conversion reorders the rows of q and k within each head, and those of an adapter's B must follow.
 * @param values [rows, columns]
 */
export function interleavedHalves(values: Float32Array, rows: number, columns: number, heads: number): Float32Array {
  const reordered = new Float32Array(values.length);
  const width = rows / heads;
  for (let row = 0; row < rows; row++) {
    const [head, within] = [Math.floor(row / width), row % width];
    const half = within < width / 2 ? 0 : 1;
    const to = head * width + 2 * (within - (half * width) / 2) + half;
    reordered.set(values.subarray(row * columns, (row + 1) * columns), to * columns);
  }
  return reordered;
}
