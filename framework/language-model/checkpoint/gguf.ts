/** GGUF files (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): metadata, and where each tensor lies. */
import type { RangeFile } from "../../store/ranges.js";
import { brokenCheckpoint, cutCheckpoint, quoted, unsupportedCheckpoint } from "./faults.js";
import { GgufMetadata } from "./gguf-metadata.js";
import { GgufReader, TooShort } from "./gguf-reader.js";
import { ggufFormats, type NumberFormat, otherGgufFormats } from "./number-formats.js";

export interface GgufTensor {
  readonly format: NumberFormat;
  /** Outermost dimension first: a matrix is [out, in]. */
  readonly shape: readonly number[];
  /** Byte of the file at which it begins. */
  readonly begin: number;
  readonly bytes: number;
}
export interface GgufHeader {
  readonly metadata: GgufMetadata;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

/** Metadata and tensor table at most: the largest vocabularies of today take 20 MB. */
const headerLimit = 1 << 27;
const mostTensors = 1 << 16;
const mostDimensions = 4;
/** Read at first; most headers are within. */
const firstBytes = 1 << 22;

/** @throws RLRF_CHECKPOINT_BROKEN, RLRF_CHECKPOINT_UNSUPPORTED when a tensor's format is not computed here, RLRF_FILE_… */
export function readGgufHeader(file: RangeFile): Promise<GgufHeader> {
  return readHead(file, (reader) => {
    const { metadata, tensors: count } = readBeginning(reader);
    const table = Array.from({ length: count }, () => readTensor(reader));
    return { metadata, tensors: placed(reader, table, alignmentOf(metadata)) };
  });
}

/** The metadata alone, whatever the tensors are. @throws RLRF_CHECKPOINT_BROKEN, RLRF_CHECKPOINT_UNSUPPORTED, RLRF_FILE_… */
export function readGgufMetadata(file: RangeFile): Promise<GgufMetadata> {
  return readHead(file, (reader) => readBeginning(reader).metadata);
}

/** Reads more and more of the file, until the header is within. */
async function readHead<Result>(file: RangeFile, parse: (reader: GgufReader) => Result): Promise<Result> {
  const { path, size } = file;
  for (let end = Math.min(firstBytes, size); ; end = Math.min(2 * end, size)) {
    try {
      return parse(new GgufReader(path, new Uint8Array(await file.read(0, end, cutCheckpoint(path))), size));
    } catch (error) {
      if (!(error instanceof TooShort)) throw error;
      if (end === size) throw brokenCheckpoint(`${path} at byte ${error.at}`, "the file ends within its header");
      if (end >= headerLimit) throw brokenCheckpoint(path, `its header is longer than ${headerLimit} bytes`);
    }
  }
}

/** All before the table of tensors, and how many there are. */
function readBeginning(reader: GgufReader): { readonly metadata: GgufMetadata; readonly tensors: number } {
  readVersion(reader);
  const tensors = reader.count("tensors", 24, mostTensors); // a name's length, a number of dimensions, a type, an offset
  const metadata = new GgufMetadata(reader);
  const parts = metadata.number("split.count", 1);
  if (parts <= 1) return { metadata, tensors };
  const hint = "merge them: llama-gguf-split --merge FIRST.gguf MERGED.gguf (llama.cpp)";
  throw unsupportedCheckpoint(reader.path, `the model is split into ${parts} files`, "one file", hint);
}

function readVersion(reader: GgufReader): void {
  if (reader.bytes(4).some((byte, i) => byte !== "GGUF".charCodeAt(i)))
    throw brokenCheckpoint(reader.path, "the file does not begin as GGUF does", 'the bytes "GGUF"');
  const version = reader.u32();
  if (version === 2 || version === 3) return;
  const bigEndian = version > 0 && (version & 0xffff) === 0;
  const found = bigEndian ? "a big-endian GGUF file" : `version ${version} of GGUF`;
  throw unsupportedCheckpoint(reader.path, `this is ${found}`, "little-endian GGUF, version 2 or 3", "convert the model again");
}

interface TensorRow {
  readonly name: string;
  readonly shape: readonly number[];
  readonly format: NumberFormat;
  /** Within the data. */
  readonly offset: number;
  readonly bytes: number;
}

function readTensor(reader: GgufReader): TensorRow {
  const name = reader.text();
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

function alignmentOf(metadata: GgufMetadata): number {
  const alignment = metadata.number("general.alignment", 32);
  if (Number.isInteger(Math.log2(alignment)) && alignment >= 1 && alignment <= 1 << 20) return alignment;
  throw brokenCheckpoint(metadata.path, `general.alignment is ${alignment}`, "a power of two up to 2^20");
}

/** Tensors may leave gaps, but lie within the file, aligned, and never on one another. */
function placed(reader: GgufReader, table: readonly TensorRow[], alignment: number): ReadonlyMap<string, GgufTensor> {
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
