/**
 * GGUF files (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): metadata, and where each tensor lies.
 * A file is never believed: every count, length and offset is held against the file's size before anything is allocated for it.
 */
import { brokenCheckpoint, unsupportedCheckpoint } from "./faults.js";
import { ggufFormats, type NumberFormat, otherGgufFormats } from "./number-formats.js";

export type GgufValue = number | bigint | boolean | string | readonly GgufValue[] | Float32Array | Int32Array | Uint8Array;

export interface GgufTensor {
  readonly format: NumberFormat;
  /** Outermost dimension first: a matrix is [out, in]. */
  readonly shape: readonly number[];
  /** Byte of the file at which it begins. */
  readonly begin: number;
  readonly bytes: number;
}
export interface GgufHeader {
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

/** Metadata and tensor table at most: the largest vocabularies of today take 20 MB. */
const headerLimit = 1 << 27;
/** Lists of lists are allowed by the format and used by nobody. */
const deepest = 4;
const mostDimensions = 4;
/** Read at first; most headers are within. */
const firstBytes = 1 << 22;

/** @param read gives bytes 0 to `end` of a file of `size` bytes @throws RLRF_CHECKPOINT_BROKEN, RLRF_CHECKPOINT_UNSUPPORTED */
export async function readGgufHeader(path: string, size: number, read: (end: number) => Promise<Uint8Array>): Promise<GgufHeader> {
  for (let end = Math.min(firstBytes, size); ; end = Math.min(2 * end, size)) {
    try {
      return parseGgufHeader(path, await read(end), size);
    } catch (error) {
      if (!(error instanceof TooShort)) throw error;
      if (end === size) throw brokenCheckpoint(`${path} at byte ${error.at}`, "the file ends within its header");
      if (end >= headerLimit) throw brokenCheckpoint(path, `its header is longer than ${headerLimit} bytes`);
    }
  }
}

/** The head that was read ends before the header does. */
class TooShort extends Error {
  constructor(readonly at: number) {
    super("too short");
  }
}

/** @param head the first bytes of a file of `size` bytes */
function parseGgufHeader(path: string, head: Uint8Array, size: number): GgufHeader {
  const reader = new Reader(path, head, size);
  readVersion(reader);
  const tensorCount = reader.count("tensors", 24); // a name's length, a number of dimensions, a type, an offset
  const valueCount = reader.count("metadata values", 13); // a key's length, a type, one byte
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < valueCount; i++) {
    const key = reader.string();
    if (metadata.has(key)) throw reader.broken(`the metadata has ${quoted(key)} twice`);
    metadata.set(key, reader.value(reader.u32(), 0));
  }
  const table: TensorRow[] = [];
  for (let i = 0; i < tensorCount; i++) table.push(readTensor(reader));
  return { metadata, tensors: placed(reader, table, alignmentOf(reader, metadata)) };
}

function readVersion(reader: Reader): void {
  if (reader.bytes(4).some((byte, i) => byte !== "GGUF".charCodeAt(i)))
    throw brokenCheckpoint(reader.path, "the file does not begin as GGUF does", 'the bytes "GGUF"');
  const version = reader.u32();
  if (version === 2 || version === 3) return;
  const bigEndian = version > 0 && (version & 0xffff) === 0;
  const found = bigEndian ? "a big-endian GGUF file" : `version ${version} of GGUF`;
  throw unsupportedCheckpoint(reader.path, `this is ${found}`, "little-endian GGUF, version 2 or 3");
}

interface TensorRow {
  readonly name: string;
  readonly shape: readonly number[];
  readonly format: NumberFormat;
  /** Within the data. */
  readonly offset: number;
  readonly bytes: number;
}

function readTensor(reader: Reader): TensorRow {
  const name = reader.string();
  const dimensions = reader.u32();
  if (dimensions < 1 || dimensions > mostDimensions)
    throw reader.broken(`tensor ${quoted(name)} has ${dimensions} dimensions`, `1 to ${mostDimensions}`);
  const shape = Array.from({ length: dimensions }, () => reader.u64(`a side of tensor ${quoted(name)}`)).reverse();
  const type = reader.u32();
  const format = ggufFormats[type];
  if (format === undefined) {
    const known = otherGgufFormats[type];
    if (known === undefined) throw reader.broken(`tensor ${quoted(name)} has the unknown type ${type}`);
    const names = Object.values(ggufFormats).map((each) => each.name);
    throw unsupportedCheckpoint(reader.path, `tensor ${quoted(name)} is ${known}`, names.join(", "));
  }
  const offset = reader.u64(`the offset of tensor ${quoted(name)}`);
  const blocks = shape.reduce((count, side) => count * side, 1) / format.block;
  const bytes = blocks * format.bytes;
  if ((shape.at(-1) as number) % format.block !== 0)
    throw reader.broken(`tensor ${quoted(name)} of shape [${shape}] is no whole number of blocks of ${format.block}`);
  if (!Number.isSafeInteger(bytes) || bytes > reader.size)
    throw reader.broken(`tensor ${quoted(name)} of shape [${shape}] needs more bytes than the file has (${reader.size})`);
  return { name, shape, format, offset, bytes };
}

function alignmentOf(reader: Reader, metadata: ReadonlyMap<string, GgufValue>): number {
  const alignment = metadata.get("general.alignment") ?? 32;
  if (typeof alignment === "number" && Number.isInteger(Math.log2(alignment)) && alignment >= 1 && alignment <= 1 << 20) return alignment;
  throw reader.broken(`general.alignment is ${typeof alignment === "number" ? alignment : "no number"}`, "a power of two up to 2^20");
}

/** Tensors may leave gaps, but lie within the file, aligned, and never on one another. */
function placed(reader: Reader, table: readonly TensorRow[], alignment: number): ReadonlyMap<string, GgufTensor> {
  const start = Math.ceil(reader.at / alignment) * alignment;
  const tensors = new Map<string, GgufTensor>();
  let end = 0;
  for (const { name, shape, format, offset, bytes } of [...table].sort((a, b) => a.offset - b.offset || a.bytes - b.bytes)) {
    const where = `tensor ${quoted(name)}`;
    if (tensors.has(name)) throw reader.broken(`${where} is there twice`);
    if (offset % alignment !== 0) throw reader.broken(`${where} begins at offset ${offset}`, `a multiple of ${alignment}`);
    if (offset < end) throw reader.broken(`${where} begins at offset ${offset}, within the tensor before it`, `${end} or more`);
    if (start + offset + bytes > reader.size)
      throw reader.broken(`${where} ends at byte ${start + offset + bytes} of a file of ${reader.size}`);
    end = offset + bytes;
    tensors.set(name, { format, shape, begin: start + offset, bytes });
  }
  return tensors;
}

const utf8 = new TextDecoder();
const list = 9;
/** Fewest bytes of a value, by its type in metadata. */
const valueBytes: Readonly<Record<number, number>> = {
  ...{ 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 8: 8, 9: 12, 10: 8, 11: 8, 12: 8 },
};

/** Reads one after the other, and never beyond what there is. */
class Reader {
  at = 0;
  private readonly view: DataView;

  constructor(
    readonly path: string,
    private readonly head: Uint8Array,
    readonly size: number,
  ) {
    this.view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  }

  broken(message: string, expected?: string) {
    return brokenCheckpoint(`${this.path} at byte ${this.at}`, message, expected);
  }

  /** Where `length` bytes begin that are there. */
  private take(length: number): number {
    if (length > this.size - this.at) throw this.broken(`${length} bytes are to follow, of a file of ${this.size}`);
    if (this.at + length > this.head.length) throw new TooShort(this.at);
    this.at += length;
    return this.at - length;
  }

  bytes(length: number): Uint8Array {
    const from = this.take(length);
    return this.head.subarray(from, from + length);
  }

  u32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  /** @param what is counted or measured: for the error when it is beyond what a number can be */
  u64(what: string): number {
    const value = this.view.getBigUint64(this.take(8), true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.broken(`${what} is ${value}`);
    return Number(value);
  }

  /** A count of things that take `least` bytes each: no more than the rest of the file can hold. */
  count(what: string, least: number): number {
    const count = this.u64(`the number of ${what}`);
    const most = Math.floor((this.size - this.at) / least);
    if (count > most) throw this.broken(`${count} ${what} are to follow`, `at most ${most}: the file has ${this.size} bytes`);
    return count;
  }

  string(): string {
    return utf8.decode(this.bytes(this.u64("the length of a text")));
  }

  value(type: number, depth: number): GgufValue {
    if (type === list) return this.list(depth + 1);
    if (type === 8) return this.string();
    if (type === 7) {
      const byte = this.head[this.take(1)] as number;
      if (byte > 1) throw this.broken(`${byte} is no truth value`, "0 or 1");
      return byte === 1;
    }
    const bytes = valueBytes[type];
    if (bytes === undefined) throw this.broken(`${type} is no type of metadata`);
    return this.number(type, this.take(bytes));
  }

  private number(type: number, at: number): number | bigint {
    const { view } = this;
    if (type === 0) return view.getUint8(at);
    if (type === 1) return view.getInt8(at);
    if (type === 2) return view.getUint16(at, true);
    if (type === 3) return view.getInt16(at, true);
    if (type === 4) return view.getUint32(at, true);
    if (type === 5) return view.getInt32(at, true);
    if (type === 6) return view.getFloat32(at, true);
    if (type === 12) return view.getFloat64(at, true);
    const whole = type === 10 ? view.getBigUint64(at, true) : view.getBigInt64(at, true);
    return BigInt(Number(whole)) === whole ? Number(whole) : whole;
  }

  private list(depth: number): GgufValue {
    if (depth > deepest) throw this.broken(`lists within lists, more than ${deepest} deep`);
    const type = this.u32();
    const least = valueBytes[type];
    if (least === undefined) throw this.broken(`${type} is no type of metadata`);
    const count = this.count("list items", least);
    // Numbers stay as small as they are in the file.
    if (type === 5)
      return Int32Array.from(
        { length: count },
        this.filler(4, (at) => this.view.getInt32(at, true), count),
      );
    if (type === 6)
      return Float32Array.from(
        { length: count },
        this.filler(4, (at) => this.view.getFloat32(at, true), count),
      );
    if (type === 0 || type === 7) return Uint8Array.from(this.bytes(count));
    const values: GgufValue[] = [];
    for (let i = 0; i < count; i++) values.push(this.value(type, depth));
    return values;
  }

  private filler(bytes: number, get: (at: number) => number, count: number): (_: unknown, i: number) => number {
    const from = this.take(count * bytes);
    return (_, i) => get(from + i * bytes);
  }
}

/** Names come from the file: they are shown shortened and escaped. */
export function quoted(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name);
}
