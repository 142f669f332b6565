/** An adapter as llama.cpp reads it: GGUF version 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), as convert_lora_to_gguf.py writes it. */
import { writeAtomic } from "../store/files.js";
import { type Adapter, type AdapterMatrix, adapterMatrices } from "./adapter-files.js";
import type { DecoderConfig } from "./config.js";
import type { ProjectionName } from "./published-names.js";
import { turnedColumns } from "./published-names.js";

const ggufNames: Readonly<Record<ProjectionName, string>> = {
  q_proj: "attn_q",
  k_proj: "attn_k",
  v_proj: "attn_v",
  o_proj: "attn_output",
  gate_proj: "ffn_gate",
  up_proj: "ffn_up",
  down_proj: "ffn_down",
};

/** Which of llama.cpp's architectures a decoder is; the published models of each are told apart by these two. */
export function ggufArchitecture({ qkvBias, qkNorm }: DecoderConfig): "llama" | "qwen2" | "qwen3" {
  return qkNorm ? "qwen3" : qkvBias ? "qwen2" : "llama";
}

interface GgufTensor {
  readonly name: string;
  /** Outermost first; GGUF writes them the other way round. */
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** @param path of the file, adapter.gguf */
export async function writeAdapterGguf(path: string, config: DecoderConfig, adapter: Adapter): Promise<void> {
  const architecture = ggufArchitecture(config);
  const tensors = adapterMatrices(config, adapter.options).map((matrix) => ggufTensor(config, architecture, adapter, matrix));
  const metadata: readonly (readonly [string, string | number])[] = [
    ["general.architecture", architecture],
    ["general.type", "adapter"],
    ["adapter.type", "lora"],
    ["adapter.lora.alpha", adapter.options.alpha],
  ];
  await writeAtomic(path, ggufFile(metadata, tensors));
}

/** A is [rank, in] and B [out, rank], as PEFT's. */
function ggufTensor(config: DecoderConfig, architecture: string, { state }: Adapter, matrix: AdapterMatrix): GgufTensor {
  const { layer, projection, side, name, shape } = matrix;
  const [rows, columns] = shape;
  const turned = turnedColumns((state[name] as { values: Float32Array }).values, rows, columns);
  const heads = projection === "q_proj" ? config.heads : projection === "k_proj" ? config.kvHeads : 0;
  const permuted = architecture === "llama" && side === "B" && heads > 0;
  return {
    name: `blk.${layer}.${ggufNames[projection]}.weight.lora_${side.toLowerCase()}`,
    shape: [columns, rows],
    values: permuted ? interleavedHalves(turned, columns, rows, heads) : turned,
  };
}

/**
 * llama.cpp's `llama` rotates neighbouring rows of a head, the published checkpoints a row of its first half with one of its second: its
 * conversion reorders the rows of q and k within each head, and those of an adapter's B must follow.
 * @param values [rows, columns]
 */
function interleavedHalves(values: Float32Array, rows: number, columns: number, heads: number): Float32Array {
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

const magic = "GGUF";
const version = 3;
const alignment = 32; // bytes, the format's default
const valueTypes = { float32: 6, string: 8 } as const;
const float32Tensor = 0;

function ggufFile(metadata: readonly (readonly [string, string | number])[], tensors: readonly GgufTensor[]): Uint8Array[] {
  const parts: Buffer[] = [Buffer.from(magic), uint32(version), uint64(tensors.length), uint64(metadata.length)];
  for (const [key, value] of metadata)
    parts.push(
      text(key),
      ...(typeof value === "string" ? [uint32(valueTypes.string), text(value)] : [uint32(valueTypes.float32), float32(value)]),
    );
  let offset = 0;
  for (const { name, shape, values } of tensors) {
    parts.push(text(name), uint32(shape.length), ...[...shape].reverse().map(uint64), uint32(float32Tensor), uint64(offset));
    offset += padded(values.byteLength);
  }
  const header = Buffer.concat(parts);
  const fill = (bytes: number) => Buffer.alloc(padded(bytes) - bytes);
  const data = tensors.flatMap(({ values }) => [
    new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
    fill(values.byteLength),
  ]);
  return [header, fill(header.length), ...data];
}

function padded(bytes: number): number {
  return Math.ceil(bytes / alignment) * alignment;
}
function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
function float32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}
function text(value: string): Buffer {
  const bytes = Buffer.from(value, "utf8");
  return Buffer.concat([uint64(bytes.length), bytes]);
}
