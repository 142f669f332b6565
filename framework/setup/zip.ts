import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { type FileHandle, mkdir, open, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { crc32, createInflateRaw } from "node:zlib";
import { RlrfError } from "../errors.js";

export interface ZipEntry {
  readonly name: string;
  readonly size: number;
  readonly compressedSize: number;
  readonly crc: number;
  readonly method: number;
  readonly offset: number;
}

const endSignature = 0x06054b50;
const centralSignature = 0x02014b50;
const localSignature = 0x04034b50;
const encrypted = 1;

/**
 * Reads zip files (and wheels, which are zips) that come from a network: entries are listed from the central directory and
 * extracted by name to a path the caller chooses; sizes are bounded, the CRC is checked, nothing is trusted.
 */
export class Zip {
  private constructor(
    private readonly path: string,
    private readonly file: FileHandle,
    readonly entries: ReadonlyMap<string, ZipEntry>,
  ) {}

  /** @throws RLRF_ARCHIVE_BAD */
  static async open(path: string): Promise<Zip> {
    const file = await open(path, "r");
    try {
      return new Zip(path, file, await readDirectory(path, file));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  close(): Promise<void> {
    return this.file.close();
  }

  /**
   * Writes one entry to `target`.
   * @param limit bytes at most
   * @returns the sha256 of what was written, hex
   * @throws RLRF_ARCHIVE_BAD when the entry is missing, damaged, encrypted or larger than it says or than `limit`
   */
  async extract(name: string, target: string, limit: number): Promise<string> {
    const entry = this.entries.get(name);
    if (entry === undefined) throw bad(this.path, `it has no entry ${JSON.stringify(name)}`);
    if (entry.size > limit) throw bad(this.path, `entry ${name} is ${entry.size} bytes long, more than the ${limit} allowed`);
    if (entry.method !== 0 && entry.method !== 8) throw bad(this.path, `entry ${name} is compressed by unknown method ${entry.method}`);
    await mkdir(dirname(target), { recursive: true });
    const check = new Check(this.path, entry);
    const source = createReadStream(this.path, await this.dataRange(entry));
    try {
      if (entry.size === 0) await (await open(target, "w")).close();
      else if (entry.method === 0) await pipeline(source, check, createWriteStream(target));
      else await pipeline(source, createInflateRaw(), check, createWriteStream(target));
      return check.finish();
    } catch (error) {
      await rm(target, { force: true });
      if ((error as NodeJS.ErrnoException).code?.startsWith("Z_")) throw bad(this.path, `entry ${name} is damaged`, error);
      throw error;
    } finally {
      source.destroy();
    }
  }

  private async dataRange(entry: ZipEntry): Promise<{ start: number; end: number }> {
    const header = Buffer.alloc(30);
    await this.file.read(header, 0, 30, entry.offset);
    if (header.readUInt32LE(0) !== localSignature) throw bad(this.path, `entry ${entry.name} is not where the directory says`);
    const start = entry.offset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
    return { start, end: start + Math.max(entry.compressedSize, 1) - 1 };
  }
}

/** Passes bytes on, counting, hashing and stopping at the declared size, so that a bomb cannot fill the disk. */
class Check extends Transform {
  private size = 0;
  private crc = 0;
  private readonly sha256 = createHash("sha256");

  constructor(
    private readonly path: string,
    private readonly entry: ZipEntry,
  ) {
    super();
  }

  override _transform(chunk: Buffer, _encoding: string, done: (error: Error | null, chunk?: Buffer) => void): void {
    this.size += chunk.length;
    if (this.size > this.entry.size) {
      done(bad(this.path, `entry ${this.entry.name} is longer than it says`));
      return;
    }
    this.crc = crc32(chunk, this.crc);
    this.sha256.update(chunk);
    done(null, chunk);
  }

  finish(): string {
    if (this.size !== this.entry.size || this.crc !== this.entry.crc) throw bad(this.path, `entry ${this.entry.name} is damaged`);
    return this.sha256.digest("hex");
  }
}

async function readDirectory(path: string, file: FileHandle): Promise<Map<string, ZipEntry>> {
  const { size } = await file.stat();
  // The end record is 22 bytes long, and a comment of up to 65,535 may follow it.
  const tail = Buffer.alloc(Math.min(size, 22 + 0xffff));
  await file.read(tail, 0, tail.length, size - tail.length);
  const end = lastSignature(tail);
  if (end < 0) throw bad(path, "it is not a zip file, or was cut off");
  const count = tail.readUInt16LE(end + 10);
  const length = tail.readUInt32LE(end + 12);
  const offset = tail.readUInt32LE(end + 16);
  if (offset === 0xffffffff || count === 0xffff) throw bad(path, "it is a zip64 file, which is not read here");
  if (offset + length > size) throw bad(path, "its directory lies outside the file");
  const directory = Buffer.alloc(length);
  await file.read(directory, 0, length, offset);
  return parseDirectory(path, directory, count);
}

function lastSignature(tail: Buffer): number {
  for (let i = tail.length - 22; i >= 0; i--) if (tail.readUInt32LE(i) === endSignature) return i;
  return -1;
}

function parseDirectory(path: string, directory: Buffer, count: number): Map<string, ZipEntry> {
  const entries = new Map<string, ZipEntry>();
  for (let i = 0, at = 0; i < count; i++) {
    if (at + 46 > directory.length || directory.readUInt32LE(at) !== centralSignature) throw bad(path, "its directory is damaged");
    const nameLength = directory.readUInt16LE(at + 28);
    const name = directory.toString("utf8", at + 46, at + 46 + nameLength);
    if ((directory.readUInt16LE(at + 8) & encrypted) !== 0) throw bad(path, `entry ${name} is encrypted`);
    if (entries.has(name)) throw bad(path, `entry ${name} is there twice`);
    entries.set(name, {
      name,
      method: directory.readUInt16LE(at + 10),
      crc: directory.readUInt32LE(at + 16),
      compressedSize: directory.readUInt32LE(at + 20),
      size: directory.readUInt32LE(at + 24),
      offset: directory.readUInt32LE(at + 42),
    });
    at += 46 + nameLength + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
  }
  return entries;
}

function bad(path: string, message: string, cause?: unknown): RlrfError {
  return new RlrfError("RLRF_ARCHIVE_BAD", { message, where: path, hint: "delete it and fetch it again" }, { cause });
}
