/** Stands between a client and a server and goes wrong on demand: the real server stays the judge of what arrived. */
import http from "node:http";
import type { AddressInfo, Socket } from "node:net";

export interface SeenRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}
/**
 * "pass"; "drop": the connection is cut before the server hears of it; "drop-answer": after it has answered; "hang": never answered;
 * or an answer in the server's place.
 */
export type Fault =
  | "pass"
  | "drop"
  | "drop-answer"
  | "hang"
  | {
      readonly status: number;
      readonly body?: string | Buffer;
      readonly headers?: Record<string, string>;
      /** Milliseconds before it is sent. */
      readonly after?: number;
      /** The connection ends after this many bytes of the body. */
      readonly cutAt?: number;
    };

export class FaultyProxy {
  readonly seen: SeenRequest[] = [];
  /** Decides for each request. */
  fault: (request: SeenRequest) => Fault = () => "pass";
  private readonly server = http.createServer((request, response) => void this.handle(request, response));
  private readonly sockets = new Set<Socket>();
  private port = 0;

  /** @param target the server behind; without one every request needs an answer from `fault` */
  constructor(private readonly target?: string) {
    this.server.on("connection", (socket) => {
      this.sockets.add(socket);
      socket.on("close", () => this.sockets.delete(socket));
    });
  }

  get uri(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Listens, the second time on the same port. */
  async up(): Promise<this> {
    await new Promise<void>((resolve, reject) => {
      this.server.once("error", reject);
      this.server.listen(this.port, "127.0.0.1", resolve);
    });
    this.port = (this.server.address() as AddressInfo).port;
    return this;
  }

  /** Connections are refused from now on. */
  async down(): Promise<void> {
    if (!this.server.listening) return;
    const closed = new Promise<void>((resolve) => void this.server.close(() => resolve()));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  private async handle(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const seen = { method: request.method ?? "", url: request.url ?? "", headers: request.headers, body: body.toString("utf8") };
    this.seen.push(seen);
    const fault = this.fault(seen);
    if (fault === "hang") return;
    if (fault === "drop") return void request.socket.destroy();
    if (typeof fault === "object") return void (await answer(response, fault));
    if (this.target === undefined) return void response.writeHead(500).end();
    const url = new URL(seen.url, this.target);
    const headers = { ...request.headers, host: url.host };
    const forwarded = http.request(url, { method: seen.method, headers }, (answer) => {
      if (fault === "drop-answer") {
        answer.resume().on("end", () => request.socket.destroy());
        return;
      }
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    forwarded.on("error", () => request.socket.destroy());
    forwarded.end(body);
  }
}

async function answer(response: http.ServerResponse, fault: Exclude<Fault, string>): Promise<void> {
  const { status, body = "", headers, after = 0, cutAt } = fault;
  if (after > 0) await new Promise((resolve) => setTimeout(resolve, after));
  if (cutAt === undefined) return void response.writeHead(status, headers).end(body);
  const bytes = Buffer.from(body);
  response.writeHead(status, { ...headers, "content-length": bytes.length });
  response.write(bytes.subarray(0, cutAt), () => response.destroy());
}

/** Opens proxies inside tests, and closes them after each, also when it failed. */
export function useFaultyProxies(): (target?: string) => Promise<FaultyProxy> {
  const opened: FaultyProxy[] = [];
  afterEach(async () => {
    for (const proxy of opened.splice(0)) await proxy.down();
  });
  return async (target) => {
    const proxy = await new FaultyProxy(target).up();
    opened.push(proxy);
    return proxy;
  };
}
