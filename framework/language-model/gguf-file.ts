/** Writing GGUF, version 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md). */
import { encodeHalf } from "../store/half.js";

/** A number as GGUF has many kinds of: JavaScript's own does not say which. */
export interface TypedNumber {
  readonly type: "float32" | "uint32";
  readonly value: number;
}
export const float32 = (value: number): TypedNumber => ({ type: "float32", value });
export const uint32 = (value: number): TypedNumber => ({ type: "uint32", value });

export type WrittenValue = string | TypedNumber | readonly string[] | Int32Array;

export interface WrittenTensor {
  readonly name: string;
  /** Outermost first; GGUF writes them the other way round. */
  readonly shape: readonly number[];
  readonly format: keyof typeof formats;
  /** Asked once, when its turn comes: a large model is never in memory as a whole. */
  read(): Promise<Float32Array>;
}

const formats = {
  F32: { type: 0, bytes: 4, encode: (values: Float32Array) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength) },
  F16: { type: 1, bytes: 2, encode: encodeHalf },
} as const;

const version = 3;
const alignment = 32; // bytes, the format's default
const valueTypes = { uint32: 4, int32: 5, float32: 6, string: 8, array: 9 } as const;

/** The bytes of a file, part by part. */
export async function* ggufFile(
  metadata: Readonly<Record<string, WrittenValue>>,
  tensors: readonly WrittenTensor[],
): AsyncGenerator<Uint8Array> {
  const entries = Object.entries(metadata);
  const parts: Uint8Array[] = [Buffer.from("GGUF"), word(version), long(tensors.length), long(entries.length)];
  for (const [key, value] of entries) parts.push(text(key), ...written(value));
  let offset = 0;
  for (const tensor of tensors) {
    parts.push(text(tensor.name), word(tensor.shape.length), ...[...tensor.shape].reverse().map(long));
    parts.push(word(formats[tensor.format].type), long(offset));
    offset += padded(bytesOf(tensor));
  }
  const header = Buffer.concat(parts);
  yield header;
  yield fill(header.length);
  for (const tensor of tensors) {
    yield formats[tensor.format].encode(await tensor.read());
    yield fill(bytesOf(tensor));
  }
}

function bytesOf({ shape, format }: WrittenTensor): number {
  return shape.reduce((product, side) => product * side, formats[format].bytes);
}

function written(value: WrittenValue): Uint8Array[] {
  if (typeof value === "string") return [word(valueTypes.string), text(value)];
  if (value instanceof Int32Array)
    return [
      ...[valueTypes.array, valueTypes.int32].map(word),
      long(value.length),
      new Uint8Array(value.buffer, value.byteOffset, value.byteLength),
    ];
  if ("type" in value) return [word(valueTypes[value.type]), value.type === "float32" ? real(value.value) : word(value.value)];
  return [...[valueTypes.array, valueTypes.string].map(word), long(value.length), ...value.map(text)];
}

function padded(bytes: number): number {
  return Math.ceil(bytes / alignment) * alignment;
}
function fill(bytes: number): Uint8Array {
  return new Uint8Array(padded(bytes) - bytes);
}
function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
function long(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
function real(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}
function text(value: string): Buffer {
  const bytes = Buffer.from(value, "utf8");
  return Buffer.concat([long(bytes.length), bytes]);
}
