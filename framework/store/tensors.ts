/**
 * Numeric results on disk: the safetensors format (https://huggingface.co/docs/safetensors), written little-endian and aligned to 8 bytes.
 * A file is never believed: nothing is allocated before its size is known to cover it.
 */
import { endianness } from "node:os";
import { RlrfError } from "../errors.js";
import { writeAtomic } from "./files.js";
import { decodeBrain, decodeHalf } from "./half.js";
import { RangeFile } from "./ranges.js";

export type TensorValues = Float32Array | Float64Array | Int32Array | Uint8Array;
export interface StoredTensor<Values extends TensorValues = TensorValues> {
  readonly shape: readonly number[];
  readonly values: Values;
}

const kinds = { F64: Float64Array, F32: Float32Array, I32: Int32Array, U8: Uint8Array } as const;
type Dtype = keyof typeof kinds;
/** Read as 32-bit floats, which hold each of their values exactly; never written. */
const halves = { F16: decodeHalf, BF16: decodeBrain } as const;
/** Bytes a value, of every type that the format names. */
const widths = {
  ...{ F64: 8, F32: 4, I32: 4, U8: 1 },
  ...{ BOOL: 1, I8: 1, I16: 2, U16: 2, U32: 4, F16: 2, BF16: 2, I64: 8, U64: 8, F8_E4M3: 1, F8_E5M2: 1 },
} as const;
export type TensorDtype = keyof typeof widths;
const readable = [...Object.keys(kinds), ...Object.keys(halves)] as TensorDtype[];

/** The reference implementation's limit. */
const headerLimit = 100_000_000;

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
  const file = await TensorFile.open(path);
  try {
    const tensors: [string, StoredTensor][] = [];
    for (const { name, shape } of file.entries.values()) tensors.push([name, { shape, values: await file.read(name) }]);
    return Object.fromEntries(tensors);
  } finally {
    await file.close();
  }
}

/** One tensor of a file, whose header is believed only as far as the file bears it out. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
  /** Within the data. */
  readonly begin: number;
  readonly bytes: number;
}

/** An open safetensors file: its checked header, and its tensors one by one. */
export class TensorFile {
  private constructor(
    private readonly file: RangeFile,
    private readonly start: number,
    readonly entries: ReadonlyMap<string, TensorEntry>,
  ) {}

  /** @param dtypes that the caller can use @throws RLRF_FILE_MISSING, RLRF_TENSORS_BROKEN, RLRF_TENSORS_DTYPE */
  static async open(path: string, dtypes: readonly TensorDtype[] = readable): Promise<TensorFile> {
    const file = await RangeFile.open(path, () => broken(path, "not a regular file"));
    try {
      const { header, start } = await readHeader(file, dtypes);
      return new TensorFile(file, start, new Map(header.map((entry) => [entry.name, entry])));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Values of one of `entries`; F16 and BF16 as 32-bit floats. */
  async read(name: string): Promise<TensorValues> {
    const { begin, bytes, dtype } = this.entries.get(name) as TensorEntry; // callers name what they found in entries
    const buffer = await readBytes(this.file, this.start + begin, bytes);
    if (!Object.hasOwn(halves, dtype)) return new kinds[dtype as Dtype](buffer);
    const values = new Float32Array(bytes / 2);
    halves[dtype as keyof typeof halves](new Uint8Array(buffer), values);
    return values;
  }

  close(): Promise<void> {
    return this.file.close();
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
async function readHeader(file: RangeFile, dtypes: readonly TensorDtype[]): Promise<{ header: TensorEntry[]; start: number }> {
  const { path, size } = file;
  if (size < 8) throw broken(path, `${size} bytes are too few for a header`);
  const length = new DataView(await readBytes(file, 0, 8)).getBigUint64(0, true);
  if (length > BigInt(headerLimit)) throw broken(path, `a header of ${length} bytes`, `at most ${headerLimit}`);
  const start = 8 + Number(length);
  if (start > size) throw broken(path, `the header ends at byte ${start} of ${size}`);
  const text = Buffer.from(await readBytes(file, 8, Number(length))).toString("utf8");
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw broken(path, `the header is not JSON: ${(cause as Error).message}`);
  }
  if (!isRecord(json)) throw broken(path, "the header is not a JSON object");
  const header = Object.entries(json)
    .filter(([name]) => name !== "__metadata__")
    .map(([name, entry]) => checkEntry(path, name, entry, dtypes));
  checkCover(path, header, size - start);
  return { header, start };
}

function checkEntry(path: string, name: string, entry: unknown, dtypes: readonly TensorDtype[]): TensorEntry {
  if (forbiddenNames.includes(name) || !isRecord(entry)) throw broken(path, `"${name}" is not a tensor`);
  const { dtype, shape, data_offsets: offsets } = entry;
  if (!dtypes.includes(dtype as TensorDtype)) throw unknownDtype(path, name, dtype, dtypes);
  if (!Array.isArray(shape) || !shape.every(isCount)) throw broken(path, `tensor "${name}": its shape is ${brief(shape)}`, "whole numbers");
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount))
    throw broken(path, `tensor "${name}": its data_offsets are ${brief(offsets)}`, "two whole numbers");
  const [begin, end] = offsets as [number, number];
  const bytes = sizeOf(shape as number[]) * widths[dtype as TensorDtype];
  if (!Number.isSafeInteger(bytes) || end - begin !== bytes)
    throw broken(path, `tensor "${name}": [${brief(shape)}] ${dtype} does not fit bytes ${begin} to ${end}`, `${bytes} bytes`);
  return { name, dtype: dtype as TensorDtype, shape: shape as number[], begin, bytes };
}

/** Tensors must lie side by side and fill the file: no overlap, no hole, nothing hidden behind them. */
function checkCover(path: string, header: readonly TensorEntry[], size: number): void {
  let end = 0;
  for (const { name, begin, bytes } of [...header].sort((a, b) => a.begin - b.begin || a.bytes - b.bytes)) {
    if (begin !== end) throw broken(path, `tensor "${name}" begins at byte ${begin}`, `${end}, where the one before it ends`);
    end = begin + bytes;
  }
  if (end !== size) throw broken(path, `tensors take ${end} bytes of data, the file has ${size}`);
}

function readBytes(file: RangeFile, position: number, bytes: number): Promise<ArrayBuffer> {
  return file.read(position, bytes, (end) => broken(file.path, `the file ends at byte ${end}`));
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

function unknownDtype(path: string, name: string, dtype: unknown, dtypes: readonly TensorDtype[]): RlrfError {
  if (typeof dtype !== "string" || !Object.hasOwn(widths, dtype)) return broken(path, `tensor "${name}": unknown dtype ${brief(dtype)}`);
  return new RlrfError("RLRF_TENSORS_DTYPE", {
    message: `tensor "${name}" has dtype ${dtype}`,
    where: path,
    expected: dtypes.join(", "),
  });
}
