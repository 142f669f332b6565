import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import fs from "node:fs/promises"; // the default export, so that tests can make one call fail
import { dirname } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileError } from "../store/files.js";

export interface DownloadOptions {
  readonly sha256: string;
  /** Bytes after which the server is not believed any more. */
  readonly limit: number;
  /** Milliseconds to wait for an answer, and for each next piece of it. */
  readonly patience: number;
  readonly onBytes?: (bytes: number) => void;
}

/** A source failed in a way that leaves another one worth trying; disk errors are coded errors instead. */
export class SourceError extends Error {}

/**
 * Downloads a file to `target`. What arrived before a failure stays in `target.part`, and the next call goes on from there.
 * @throws SourceError when the server fails, stops, or sends something else than what the hash says; RLRF_DISK_FULL and its like
 */
export async function download(url: string, target: string, options: DownloadOptions): Promise<void> {
  const part = `${target}.part`;
  await disk(target, () => fs.mkdir(dirname(target), { recursive: true }));
  let resumed = await receive(url, part, options);
  let hash = await sha256Of(part);
  if (hash !== options.sha256 && resumed) {
    // The part may have been of another file: once more, from the start.
    await fs.rm(part, { force: true });
    resumed = await receive(url, part, options);
    hash = await sha256Of(part);
  }
  if (hash !== options.sha256) {
    await fs.rm(part, { force: true });
    throw new SourceError(`it sent something else: sha256 ${hash}, expected ${options.sha256}`);
  }
  await disk(target, () => fs.rename(part, target));
}

/** @returns whether it went on from bytes that were there already */
async function receive(url: string, part: string, options: DownloadOptions): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    const had = await sizeOf(part);
    try {
      return await request(url, part, had, options);
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error;
      // A connection that breaks while bytes flow is taken up again, as long as each attempt brings some.
      if (attempt === 3 || (await sizeOf(part)) <= had) throw new SourceError(error.message);
    }
  }
}

/** The connection ended or fell silent before the file did. */
class Interrupted extends Error {}

async function request(url: string, part: string, had: number, { limit, patience, onBytes }: DownloadOptions): Promise<boolean> {
  const controller = new AbortController();
  const give = (doing: string) => setTimeout(() => controller.abort(new Error(`${doing} for ${patience / 1000} s`)), patience);
  let timer = give("no answer");
  try {
    const headers = { "accept-encoding": "identity", ...(had > 0 ? { range: `bytes=${had}-` } : {}) };
    const response = await fetch(url, { headers, signal: controller.signal }).catch((error) => {
      throw new SourceError(reason(controller, error));
    });
    if (response.status === 416) {
      // There is nothing after what is here: it is whole, or not of this file. The hash will tell.
      return true;
    }
    if (!response.ok || response.body === null) throw new SourceError(`it answered ${response.status} ${response.statusText}`.trim());
    const resumed = response.status === 206 && response.headers.get("content-range")?.startsWith(`bytes ${had}-`) === true;
    const file = await disk(part, () => fs.open(part, resumed ? "a" : "w"));
    let size = resumed ? had : 0;
    onBytes?.(size);
    try {
      for await (const chunk of chunksOf(response.body, controller)) {
        clearTimeout(timer);
        timer = give("silent");
        size += chunk.length;
        if (size > limit) throw new SourceError(`it sends more than ${limit} bytes`);
        await disk(part, () => file.write(chunk));
        onBytes?.(chunk.length);
      }
    } finally {
      await file.close();
    }
    return resumed;
  } finally {
    clearTimeout(timer);
    controller.abort();
  }
}

async function* chunksOf(body: ReadableStream<Uint8Array>, controller: AbortController): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      throw new Interrupted(reason(controller, error));
    });
    if (done) return;
    yield value;
  }
}

function reason(controller: AbortController, error: unknown): string {
  if (controller.signal.aborted) return (controller.signal.reason as Error).message;
  const { message, cause } = error as Error;
  return cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code || message : message;
}

async function sizeOf(path: string): Promise<number> {
  return fs.stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

export async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  await disk(path, () => pipeline(createReadStream(path), hash), "read");
  return hash.digest("hex");
}

/** A full or unwritable disk is no fault of the source: it ends everything, with a code of its own. */
export async function disk<T>(path: string, work: () => Promise<T>, doing: "read" | "write" = "write"): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw fileError(error, path, doing);
  }
}
