/** One HTTP request over node:http: unlike fetch it streams a file with a known length and can be told when silence is too long. */
import { createReadStream } from "node:fs";
import http from "node:http";
import https from "node:https";
import { pipeline } from "node:stream/promises";

export interface HttpRequest {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | { readonly file: string; readonly bytes: number };
  /** Milliseconds without a byte in either direction. */
  readonly timeout: number;
  readonly agent?: http.Agent;
}
export interface HttpResponse {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

const responseLimit = 256 << 20;

export async function request(url: URL, { method, headers = {}, body, timeout, agent }: HttpRequest): Promise<HttpResponse> {
  const length = body === undefined ? 0 : body instanceof Uint8Array ? body.byteLength : body.bytes;
  const client = url.protocol === "https:" ? https : http;
  const call = client.request(url, {
    method,
    headers: { ...headers, "content-length": length },
    timeout,
    ...(agent === undefined ? {} : { agent }),
  });
  call.on("timeout", () => call.destroy(new Error(`no answer for ${timeout / 1000} s`)));
  const response = new Promise<HttpResponse>((resolve, reject) => {
    call.on("error", reject);
    call.on("response", (incoming) => {
      readAll(incoming).then((content) => resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: content }), reject);
    });
  });
  if (body === undefined || body instanceof Uint8Array) {
    call.end(body);
    return response;
  }
  // The answer may come before the file has gone (413, 401): then it counts, not the broken pipe.
  const sent = pipeline(createReadStream(body.file, { end: Math.max(0, body.bytes - 1) }), call);
  sent.catch(() => undefined);
  const answer = await response;
  return answer;
}

async function readAll(incoming: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming) {
    chunks.push(chunk as Buffer);
    bytes += (chunk as Buffer).length;
    if (bytes > responseLimit) throw new Error(`an answer of more than ${responseLimit} bytes`);
  }
  return Buffer.concat(chunks);
}
