/**
 * One HTTP request over node:http: unlike fetch it streams a file with a known length, tells a connection that does not come from an
 * answer that does not, and reads no more than it was told to.
 */
import { createReadStream, createWriteStream } from "node:fs";
import http from "node:http";
import https from "node:https";
import type { Socket } from "node:net";
import { pipeline } from "node:stream/promises";

export interface HttpRequest {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | { readonly file: string; readonly bytes: number };
  /** Milliseconds without a byte in either direction; absent = any silence is borne. */
  readonly timeout?: number;
  /** Milliseconds until the connection stands. */
  readonly connectTimeout?: number;
  /** Milliseconds until the last byte of the answer. */
  readonly wholeTimeout?: number;
  /** Bytes of an answer at most. */
  readonly limit?: number;
  /** A file that the body of a 2xx answer is written to, anew, instead of being kept. */
  readonly into?: string;
  readonly agent?: http.Agent;
  readonly signal?: AbortSignal;
}
export interface HttpResponse {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

const responseLimit = 256 << 20;

/** @throws whatever node:http does, an Error that says which time or size ran out, or the signal's reason */
export async function request(url: URL, options: HttpRequest): Promise<HttpResponse> {
  const { method, headers = {}, body, agent, signal, into, limit = responseLimit } = options;
  signal?.throwIfAborted();
  const length = body === undefined ? 0 : body instanceof Uint8Array ? body.byteLength : body.bytes;
  const client = url.protocol === "https:" ? https : http;
  const call = client.request(url, {
    method,
    headers: { ...headers, "content-length": length },
    ...(agent === undefined ? {} : { agent }),
  });
  const watch = watchTimes(call, url, options);
  const response = new Promise<HttpResponse>((resolve, reject) => {
    const fail = (error: unknown) => reject(watch.reason() ?? error);
    call.on("error", fail);
    call.on("response", (incoming) => {
      const status = incoming.statusCode ?? 0;
      const kept = into !== undefined && status >= 200 && status < 300 ? writeAll(incoming, limit, into) : readAll(incoming, limit);
      kept.then((content) => resolve({ status, headers: incoming.headers, body: content }), fail);
    });
  });
  try {
    if (body === undefined || body instanceof Uint8Array) call.end(body);
    // The answer may come before the file has gone (413, 401): then it counts, not the broken pipe.
    else pipeline(createReadStream(body.file, { end: Math.max(0, body.bytes - 1) }), call).catch(() => undefined);
    return await response;
  } finally {
    watch.stop();
  }
}

/** Ends the call when a time is up or the signal says so; `reason` is then what the caller should hear instead of "socket hang up". */
function watchTimes(call: http.ClientRequest, url: URL, { timeout, connectTimeout, wholeTimeout, signal }: HttpRequest) {
  let reason: unknown;
  const timers: NodeJS.Timeout[] = [];
  const end = (why: unknown) => {
    reason ??= why;
    call.destroy(why instanceof Error ? why : new Error(String(why)));
  };
  const within = (milliseconds: number, what: string) => {
    const timer = setTimeout(() => end(new Error(`${what} ${milliseconds / 1000} s`)), milliseconds);
    timers.push(timer);
    return timer;
  };
  if (timeout !== undefined) call.setTimeout(timeout, () => end(new Error(`no answer for ${timeout / 1000} s`)));
  if (wholeTimeout !== undefined) within(wholeTimeout, "no whole answer within");
  if (connectTimeout !== undefined)
    call.on("socket", (socket: Socket) => {
      if (!socket.connecting) return; // kept alive from an earlier request
      const timer = within(connectTimeout, "no connection within");
      socket.once(url.protocol === "https:" ? "secureConnect" : "connect", () => clearTimeout(timer));
    });
  const onAbort = () => end(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  return {
    reason: () => reason,
    stop() {
      for (const timer of timers) clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    },
  };
}

/** @returns nothing: it is in the file */
async function writeAll(incoming: http.IncomingMessage, limit: number, file: string): Promise<Buffer> {
  await pipeline(incoming, (chunks: AsyncIterable<Buffer>) => within(chunks, limit), createWriteStream(file));
  return Buffer.alloc(0);
}

async function* within(chunks: AsyncIterable<Buffer>, limit: number): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > limit) throw new Error(`an answer of more than ${limit} bytes`); // leaving the loop closes the connection
    yield chunk;
  }
}

async function readAll(incoming: http.IncomingMessage, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of within(incoming, limit)) chunks.push(chunk);
  return Buffer.concat(chunks);
}
