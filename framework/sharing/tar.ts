/** Gzipped tar archives as npm makes them: read whole, with bounds, and nothing but plain files below the archive's one folder. */
import fs from "node:fs/promises";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { RlrfError } from "../errors.js";
import { makeFolder } from "../store/files.js";

export const maxTarballBytes = 64 << 20;
const maxUnpackedBytes = 256 << 20;
const maxFiles = 20_000;
const block = 512;

/** @returns contents by path, without the archive's own first folder. @throws RLRF_PACKAGE_ARCHIVE, RLRF_PACKAGE_PATH */
export function readTarball(data: Uint8Array, name: string): ReadonlyMap<string, Buffer> {
  if (data.byteLength > maxTarballBytes) throw bad(name, `the tarball has ${data.byteLength} bytes`, `at most ${maxTarballBytes} bytes`);
  return new TarReader(unzipped(data, name), name).files();
}

function unzipped(data: Uint8Array, name: string): Buffer {
  try {
    return gunzipSync(data, { maxOutputLength: maxUnpackedBytes });
  } catch (cause) {
    const tooLarge = (cause as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE";
    const message = tooLarge
      ? `it unpacks to more than ${maxUnpackedBytes} bytes`
      : `it is no whole gzip file: ${(cause as Error).message}`;
    throw bad(name, message, "a tarball as `npm pack` makes it");
  }
}

/** Writes what a tarball holds into a new folder. @throws RLRF_PACKAGE_ARCHIVE, RLRF_PACKAGE_PATH before anything is written */
export async function unpackTarball(data: Uint8Array, name: string, folder: string): Promise<void> {
  for (const [path, body] of readTarball(data, name)) {
    const file = join(folder, path);
    await makeFolder(dirname(file));
    await fs.writeFile(file, body, { flag: "wx" });
  }
}

class TarReader {
  private readonly found = new Map<string, Buffer>();
  /** Folded to lower case: on some systems two of these are one file. */
  private readonly taken = new Set<string>();
  private at = 0;
  /** What an extension header says of the next entry. */
  private next: { path?: string; size?: number } = {};

  constructor(
    private readonly data: Buffer,
    private readonly name: string,
  ) {}

  files(): ReadonlyMap<string, Buffer> {
    while (this.at + block <= this.data.length && this.data[this.at] !== 0) this.entry();
    if (this.found.size === 0) throw bad(this.name, "it holds no files", "a package");
    return this.found;
  }

  private entry(): void {
    const header = this.data.subarray(this.at, this.at + block);
    checkSum(header, this.name);
    const type = String.fromCharCode(header[156] ?? 0);
    const extension = type === "x" || type === "g" || type === "L";
    const size = (extension ? undefined : this.next.size) ?? octal(header, 124, 12, this.name);
    const path = (extension ? undefined : this.next.path) ?? headerPath(header);
    const start = this.at + block;
    if (start + size > this.data.length) throw bad(this.name, `it ends within ${JSON.stringify(path)}`, "a whole archive");
    const body = this.data.subarray(start, start + size);
    this.at = start + Math.ceil(size / block) * block;
    if (type === "x") this.next = paxRecords(body, this.name);
    else if (type === "L") this.next = { path: text(body) };
    else {
      this.next = {};
      if (type === "0" || type === "\0") this.add(path, body);
      else if (type !== "5" && type !== "g")
        throw bad(this.name, `${JSON.stringify(path)} is a link or a device (type ${JSON.stringify(type)})`, "files and folders only");
    }
  }

  private add(path: string, body: Buffer): void {
    const inside = insidePath(path, this.name);
    if (this.taken.has(inside.toLowerCase())) throw bad(this.name, `${JSON.stringify(path)} is there twice`, "each path once");
    if (this.found.size >= maxFiles) throw bad(this.name, `it holds more than ${maxFiles} files`, "a package of plugins");
    this.taken.add(inside.toLowerCase());
    this.found.set(inside, body);
  }
}

/** @throws RLRF_PACKAGE_PATH */
function insidePath(path: string, name: string): string {
  const parts = path.split("/");
  const sound =
    parts.length > 1 && path.length < 1000 && !/[\\:]|\p{Cc}/u.test(path) && parts.every((part) => !["", ".", ".."].includes(part));
  if (sound) return parts.slice(1).join("/");
  throw new RlrfError("RLRF_PACKAGE_PATH", {
    message: `the archive holds the path ${JSON.stringify(path.slice(0, 200))}, which could leave the package's folder`,
    where: name,
    expected: "paths like package/dist/x.js",
    hint: "do not use this package; tell its publisher",
  });
}

function headerPath(header: Buffer): string {
  const prefix = header.toString("latin1", 257, 262) === "ustar" ? text(header.subarray(345, 500)) : "";
  const path = text(header.subarray(0, 100));
  return prefix === "" ? path : `${prefix}/${path}`;
}

/** "LENGTH key=value\n", lengths in bytes (POSIX.1-2001). */
function paxRecords(body: Buffer, name: string): { path?: string; size?: number } {
  const records: { path?: string; size?: number } = {};
  for (let at = 0; at < body.length; ) {
    const space = body.indexOf(32, at);
    const length = Number(body.toString("latin1", at, space));
    if (space < 0 || !Number.isInteger(length) || length <= space - at || at + length > body.length)
      throw bad(name, "an extension header is damaged", "a whole archive");
    const [key = "", ...value] = body.toString("utf8", space + 1, at + length - 1).split("=");
    if (key === "path") records.path = value.join("=");
    if (key === "size") records.size = sizeOf(value.join("="), 10, name);
    if (key === "linkpath") throw bad(name, "it holds a link", "files and folders only");
    at += length;
  }
  return records;
}

function octal(header: Buffer, from: number, length: number, name: string): number {
  return sizeOf(text(header.subarray(from, from + length)).trim(), 8, name);
}

function sizeOf(digits: string, base: 8 | 10, name: string): number {
  const value = /^\d{1,12}$/.test(digits) ? Number.parseInt(digits, base) : Number.NaN;
  if (Number.isInteger(value) && value <= maxUnpackedBytes) return value;
  throw bad(name, `a size in it is ${JSON.stringify(digits.slice(0, 20))}`, "a whole archive");
}

function checkSum(header: Buffer, name: string): void {
  let sum = 8 * 32; // the sum's own field counts as spaces
  for (const [i, byte] of header.entries()) if (i < 148 || i >= 156) sum += byte;
  if (sum !== octal(header, 148, 8, name)) throw bad(name, "a header does not match its checksum", "a whole archive");
}

/** Up to the first NUL. */
function text(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString("utf8", 0, end < 0 ? bytes.length : end);
}

function bad(where: string, message: string, expected: string): RlrfError {
  return new RlrfError("RLRF_PACKAGE_ARCHIVE", {
    message: `not a sound package archive: ${message}`,
    where,
    expected,
    hint: "fetch or pack it again",
  });
}
