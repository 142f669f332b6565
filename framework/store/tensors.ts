/**
 * Numeric results on disk: the safetensors format (https://huggingface.co/docs/safetensors), written little-endian and aligned to 8 bytes.
 * A file is never believed: nothing is allocated before its size is known to cover it.
 */
import fs from "node:fs/promises";
import { endianness } from "node:os";
import { RlrfError } from "../errors.js";
import { fileError, writeAtomic } from "./files.js";

export type TensorValues = Float32Array | Float64Array | Int32Array | Uint8Array;
export interface StoredTensor<Values extends TensorValues = TensorValues> {
  readonly shape: readonly number[];
  readonly values: Values;
}

const kinds = { F64: Float64Array, F32: Float32Array, I32: Int32Array, U8: Uint8Array } as const;
type Dtype = keyof typeof kinds;
/** Read as 32-bit floats, which hold each of their values exactly; never written. */
const halves = { F16: fromHalf, BF16: fromBrain } as const;
type HalfDtype = keyof typeof halves;
const otherDtypes = ["BOOL", "I8", "I16", "U16", "U32", "I64", "U64", "F8_E4M3", "F8_E5M2"];

/** The reference implementation's limit. */
const headerLimit = 100_000_000;
const readLimit = 1 << 30;

/** Writes atomically; names are kept in their order within a dtype. */
export async function writeTensors(path: string, tensors: Readonly<Record<string, StoredTensor>>): Promise<void> {
  if (endianness() !== "LE") throw new RlrfError("RLRF_INTERNAL", { message: "safetensors are little-endian, this machine is not" });
  const order = Object.keys(kinds);
  // Wide values first, so that every tensor is aligned to its own width.
  const entries = Object.entries(tensors).sort(([, a], [, b]) => order.indexOf(dtypeOf(a.values)) - order.indexOf(dtypeOf(b.values)));
  const header: Record<string, HeaderEntry> = {};
  let offset = 0;
  for (const [name, { shape, values }] of entries) {
    if (forbiddenNames.includes(name) || sizeOf(shape) !== values.length)
      throw new RlrfError("RLRF_INTERNAL", { message: `tensor "${name}" of shape [${shape}] has ${values.length} values`, where: path });
    header[name] = { dtype: dtypeOf(values), shape, data_offsets: [offset, offset + values.byteLength] };
    offset += values.byteLength;
  }
  const text = Buffer.from(JSON.stringify(header), "utf8");
  const padded = Buffer.alloc(Math.ceil(text.length / 8) * 8, " ");
  text.copy(padded);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  await writeAtomic(path, [
    length,
    padded,
    ...entries.map(([, { values }]) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength)),
  ]);
}

/** @throws RLRF_FILE_MISSING, RLRF_TENSORS_BROKEN, RLRF_TENSORS_DTYPE */
export async function readTensors(path: string): Promise<Record<string, StoredTensor>> {
  try {
    const handle = await fs.open(path, "r");
    try {
      const stat = await handle.stat();
      if (!stat.isFile()) throw broken(path, "not a regular file");
      const { header, start } = await readHeader(handle, path, stat.size);
      const tensors: [string, StoredTensor][] = [];
      for (const { name, dtype, shape, begin, bytes } of header) {
        const buffer = await readBytes(handle, path, start + begin, bytes);
        tensors.push([
          name,
          { shape, values: isHalf(dtype) ? new Float32Array(new Uint16Array(buffer)).map(halves[dtype]) : new kinds[dtype](buffer) },
        ]);
      }
      return Object.fromEntries(tensors);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw fileError(error, path, "read");
  }
}

/** One tensor's values, of the type that the caller was promised. @throws RLRF_TENSORS_BROKEN, RLRF_TENSORS_DTYPE */
export function valuesOf<Values extends TensorValues>(
  tensors: Readonly<Record<string, StoredTensor>>,
  name: string,
  type: abstract new (...args: never[]) => Values,
): Values {
  const tensor = Object.hasOwn(tensors, name) ? tensors[name] : undefined;
  if (tensor === undefined) throw broken(Object.keys(tensors).join(", "), `there is no tensor "${name}"`);
  if (tensor.values instanceof type) return tensor.values;
  throw new RlrfError("RLRF_TENSORS_DTYPE", {
    message: `tensor "${name}" is a ${tensor.values.constructor.name}`,
    expected: `a ${type.name}`,
  });
}

/** A network's state as it was written: every tensor of floats. @throws RLRF_INTERNAL when one is not */
export function floatTensors(tensors: Readonly<Record<string, StoredTensor>>): Record<string, StoredTensor<Float32Array>> {
  const floats = Object.entries(tensors).map(([name, { shape, values }]) => {
    if (!(values instanceof Float32Array))
      throw new RlrfError("RLRF_INTERNAL", { message: `the tensor ${name} of a state holds no floats` });
    return [name, { shape, values }] as const;
  });
  return Object.fromEntries(floats);
}

const forbiddenNames = ["__metadata__", "__proto__"];

interface HeaderEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}
interface Entry {
  readonly name: string;
  readonly dtype: Dtype | HalfDtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly bytes: number;
}

async function readHeader(handle: fs.FileHandle, path: string, size: number): Promise<{ header: Entry[]; start: number }> {
  if (size < 8) throw broken(path, `${size} bytes are too few for a header`);
  const length = new DataView(await readBytes(handle, path, 0, 8)).getBigUint64(0, true);
  if (length > BigInt(headerLimit)) throw broken(path, `a header of ${length} bytes`, `at most ${headerLimit}`);
  const start = 8 + Number(length);
  if (start > size) throw broken(path, `the header ends at byte ${start} of ${size}`);
  const text = Buffer.from(await readBytes(handle, path, 8, Number(length))).toString("utf8");
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw broken(path, `the header is not JSON: ${(cause as Error).message}`);
  }
  if (!isRecord(json)) throw broken(path, "the header is not a JSON object");
  const header = Object.entries(json)
    .filter(([name]) => name !== "__metadata__")
    .map(([name, entry]) => checkEntry(path, name, entry));
  checkCover(path, header, size - start);
  return { header, start };
}

function checkEntry(path: string, name: string, entry: unknown): Entry {
  if (forbiddenNames.includes(name) || !isRecord(entry)) throw broken(path, `"${name}" is not a tensor`);
  const { dtype, shape, data_offsets: offsets } = entry;
  if (!isReadable(dtype)) throw unknownDtype(path, name, dtype);
  if (!Array.isArray(shape) || !shape.every(isCount)) throw broken(path, `tensor "${name}": its shape is ${brief(shape)}`, "whole numbers");
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount))
    throw broken(path, `tensor "${name}": its data_offsets are ${brief(offsets)}`, "two whole numbers");
  const [begin, end] = offsets as [number, number];
  const bytes = sizeOf(shape as number[]) * (isHalf(dtype) ? 2 : kinds[dtype].BYTES_PER_ELEMENT);
  if (!Number.isSafeInteger(bytes) || end - begin !== bytes)
    throw broken(path, `tensor "${name}": [${brief(shape)}] ${dtype} does not fit bytes ${begin} to ${end}`, `${bytes} bytes`);
  return { name, dtype, shape: shape as number[], begin, bytes };
}

function isReadable(dtype: unknown): dtype is Dtype | HalfDtype {
  return typeof dtype === "string" && (Object.hasOwn(kinds, dtype) || Object.hasOwn(halves, dtype));
}

function isHalf(dtype: Dtype | HalfDtype): dtype is HalfDtype {
  return Object.hasOwn(halves, dtype);
}

/** IEEE 754 binary16: 1 bit of sign, 5 of exponent, 10 of fraction. */
function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const brain = new DataView(new ArrayBuffer(4));

/** The upper half of a 32-bit float. */
function fromBrain(bits: number): number {
  brain.setUint16(0, bits);
  return brain.getFloat32(0);
}

/** Tensors must lie side by side and fill the file: no overlap, no hole, nothing hidden behind them. */
function checkCover(path: string, header: readonly Entry[], size: number): void {
  let end = 0;
  for (const { name, begin, bytes } of [...header].sort((a, b) => a.begin - b.begin || a.bytes - b.bytes)) {
    if (begin !== end) throw broken(path, `tensor "${name}" begins at byte ${begin}`, `${end}, where the one before it ends`);
    end = begin + bytes;
  }
  if (end !== size) throw broken(path, `tensors take ${end} bytes of data, the file has ${size}`);
}

/** @returns a buffer of its own, so that a view on it is aligned and nothing else is kept alive by it */
async function readBytes(handle: fs.FileHandle, path: string, position: number, bytes: number): Promise<ArrayBuffer> {
  const buffer = new ArrayBuffer(bytes);
  for (let done = 0; done < bytes; ) {
    const view = new Uint8Array(buffer, done, Math.min(bytes - done, readLimit));
    const { bytesRead } = await handle.read(view, 0, view.length, position + done);
    if (bytesRead === 0) throw broken(path, `the file ends at byte ${position + done}`);
    done += bytesRead;
  }
  return buffer;
}

function dtypeOf(values: TensorValues): Dtype {
  for (const [dtype, kind] of Object.entries(kinds)) if (values instanceof kind) return dtype as Dtype;
  throw new RlrfError("RLRF_INTERNAL", {
    message: `a ${Object.prototype.toString.call(values)} is not among ${Object.keys(kinds).join(", ")}`,
  });
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((size, side) => size * side, 1);
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);
const brief = (value: unknown): string => String(JSON.stringify(value)).slice(0, 80);

function broken(where: string, message: string, expected?: string): RlrfError {
  const hint = "delete the file to have it made again";
  return new RlrfError("RLRF_TENSORS_BROKEN", { message, where, hint, ...(expected === undefined ? {} : { expected }) });
}

function unknownDtype(path: string, name: string, dtype: unknown): RlrfError {
  if (!otherDtypes.includes(String(dtype))) return broken(path, `tensor "${name}": unknown dtype ${brief(dtype)}`);
  return new RlrfError("RLRF_TENSORS_DTYPE", {
    message: `tensor "${name}" has dtype ${String(dtype)}`,
    where: path,
    expected: [...Object.keys(kinds), ...Object.keys(halves)].join(", "),
  });
}
