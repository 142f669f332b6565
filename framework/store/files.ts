/** Files that are either whole or absent: written to a temporary name, synced, renamed. */
import { createReadStream } from "node:fs";
import fs from "node:fs/promises"; // the default export, so that tests can make one call fail
import { basename, dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { type ErrorCode, RlrfError } from "../errors.js";

const chunkBytes = 1 << 20;
let temporaries = 0;

type Doing = "read" | "write";

const refusals: Readonly<Record<string, string>> = {
  EACCES: "this user may not",
  EPERM: "the system does not permit it",
  EROFS: "the file system is read-only",
  ENOTDIR: "a part of its path is a file, not a folder",
  EEXIST: "a part of its path is a file, not a folder",
  ENOENT: "no folder can be made there",
  EISDIR: "it is a folder",
};

/** Turns what the operating system says into a coded error that says what to do. @param elsewhere how another path is chosen */
export function fileError(cause: unknown, path: string, doing: Doing, elsewhere = "choose another path"): RlrfError {
  if (cause instanceof RlrfError) return cause;
  const errno = (cause as NodeJS.ErrnoException | null)?.code ?? "";
  const failed = (cause as NodeJS.ErrnoException | null)?.path;
  const where = failed === undefined || isTemporary(failed) ? path : failed; // what was asked for, not the name on the way to it
  const fault = (code: ErrorCode, message: string, hint: string) => new RlrfError(code, { message, where, hint }, { cause });
  const refusal = refusals[errno];
  if (["ENOSPC", "EDQUOT", "EFBIG"].includes(errno))
    return fault(
      "RLRF_DISK_FULL",
      `no space left to write ${basename(path)} (${errno})`,
      `free some space there, then give the same command again: what was finished is kept`,
    );
  if (errno === "ENOENT" && doing === "read") return fault("RLRF_FILE_MISSING", `there is no file ${basename(path)}`, "check the path");
  if (refusal !== undefined)
    return fault(
      "RLRF_FILE_DENIED",
      `cannot ${doing} ${basename(path)}: ${refusal} (${errno})`,
      errno === "EISDIR" ? `name a file in it, or ${elsewhere}` : `let this user ${doing} it, or ${elsewhere}`,
    );
  return fault(
    "RLRF_FILE_IO",
    `cannot ${doing} ${basename(path)}: ${cause instanceof Error ? cause.message : String(cause)}`,
    "check the disk, then give the same command again",
  );
}

/** The folder, with those above it. Node's own recursive mkdir never returns where a folder takes no others, as in /proc. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await fs.mkdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const there = await fs.stat(code === "ENOENT" ? dirname(path) : path).catch(() => null);
    if (code === "ENOENT" && there === null) {
      await makeFolder(dirname(path));
      await makeFolder(path);
    } else if (code === "EEXIST" && (await isGone(path))) {
      await makeFolder(path); // another process has deleted it just then, as the last holder of a lock does
    } else if (code === "ENOENT" || !there?.isDirectory()) throw error;
  }
}

/** Not even a link to nowhere. */
async function isGone(path: string): Promise<boolean> {
  return (await fs.lstat(path).catch(() => null)) === null;
}

/** Makes a rename in this folder survive a power cut; not every system can open a folder, and then there is nothing to do. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await fs.open(folder, "r").catch(() => null);
  try {
    await handle?.sync();
  } catch (error) {
    if (!["EINVAL", "EPERM", "EISDIR", "EBADF"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  } finally {
    await handle?.close();
  }
}

type Chunk = string | Uint8Array;

/** Whether a path is of a file that is not whole yet. */
export function isTemporary(path: string): boolean {
  return /^\..+\.\d+-\d+\.tmp$/.test(basename(path));
}

/** Writes a file whole: whatever happens on the way, `path` holds its old content or all of the new. Makes the folders it lies in. */
export async function writeAtomic(path: string, data: Chunk | Iterable<Chunk> | AsyncIterable<Chunk>): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}-${temporaries++}.tmp`);
  try {
    await makeFolder(dirname(path));
    await writeSynced(temporary, typeof data === "string" || data instanceof Uint8Array ? [data] : data);
    await fs.rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await fs.rm(temporary, { force: true }).catch(() => undefined);
    throw fileError(error, path, "write");
  }
}

async function writeSynced(path: string, chunks: Iterable<Chunk> | AsyncIterable<Chunk>): Promise<void> {
  const handle = await fs.open(path, "wx");
  try {
    let pending: Uint8Array[] = [];
    let bytes = 0;
    const flush = async () => {
      await handle.writeFile(pending.length === 1 ? (pending[0] as Uint8Array) : Buffer.concat(pending));
      pending = [];
      bytes = 0;
    };
    for await (const chunk of chunks) {
      const part = typeof chunk === "string" ? Buffer.from(chunk, "utf8") : chunk;
      pending.push(part);
      bytes += part.byteLength;
      if (bytes >= chunkBytes) await flush();
    }
    if (bytes > 0) await flush();
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Indented, with a newline at the end: these files are read by people, too. */
export async function writeJson(path: string, value: unknown): Promise<void> {
  await writeAtomic(path, `${JSON.stringify(value, null, 2)}\n`);
}

/** The bytes of a file or a stream, or null where there are more of them than `limit`: a pipe or a device tells no size beforehand. @throws errors of Node's */
export async function readAtMost(from: string | Readable, limit: number): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of typeof from === "string" ? createReadStream(from) : from) {
    bytes += (chunk as Buffer).length;
    if (bytes > limit) return null;
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

/** @throws RLRF_FILE_MISSING, RLRF_FILE_BROKEN */
export async function readJson<Value = unknown>(path: string): Promise<Value> {
  const text = await fs.readFile(path, "utf8").catch((error: unknown) => {
    throw fileError(error, path, "read");
  });
  return parse<Value>(text, path);
}

export async function writeJsonLines(path: string, rows: Iterable<unknown> | AsyncIterable<unknown>): Promise<void> {
  await writeAtomic(path, jsonLines(rows));
}

async function* jsonLines(rows: Iterable<unknown> | AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const row of rows) yield `${JSON.stringify(row)}\n`;
}

/** @throws RLRF_FILE_MISSING, RLRF_FILE_BROKEN with the line's number */
export async function readJsonLines<Row = unknown>(path: string): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const line of linesOf(path)) if (line.text.trim() !== "") rows.push(parse<Row>(line.text, `${path}:${line.number}`));
  return rows;
}

export interface Line {
  /** From 1. */
  readonly number: number;
  readonly text: string;
  /** False for a last line without its newline: it may have been torn. */
  readonly ended: boolean;
  /** Offset in the file of what follows the line, in bytes. */
  readonly end: number;
}

/** Lines of a UTF-8 file from a byte offset on, split at "\n" alone: node:readline also splits at U+2028, which JSON leaves in strings. */
export async function* linesOf(path: string, start = 0): AsyncGenerator<Line> {
  let rest: Buffer = Buffer.alloc(0);
  let number = 0;
  let end = start;
  const handle = await fs.open(path, "r").catch((error: unknown) => {
    throw fileError(error, path, "read");
  });
  try {
    const chunk = Buffer.allocUnsafe(chunkBytes);
    for (let position = start; ; ) {
      const { bytesRead } = await handle.read(chunk, 0, chunk.length, position).catch((error: unknown) => {
        throw fileError(error, path, "read");
      });
      if (bytesRead === 0) break;
      position += bytesRead;
      rest = Buffer.concat([rest, chunk.subarray(0, bytesRead)]);
      let from = 0;
      for (let newline = rest.indexOf(10); newline >= 0; newline = rest.indexOf(10, from)) {
        end += newline + 1 - from;
        yield { number: ++number, text: rest.toString("utf8", from, newline), ended: true, end };
        from = newline + 1;
      }
      rest = rest.subarray(from);
    }
  } finally {
    await handle.close();
  }
  if (rest.length > 0) yield { number: ++number, text: rest.toString("utf8"), ended: false, end: end + rest.length };
}

function parse<Value>(text: string, where: string): Value {
  try {
    return JSON.parse(text) as Value;
  } catch (cause) {
    throw new RlrfError(
      "RLRF_FILE_BROKEN",
      {
        message: `not JSON: ${(cause as Error).message}`,
        where,
        expected: "JSON",
        hint: "restore the file, or delete it to have it made again",
      },
      { cause },
    );
  }
}
