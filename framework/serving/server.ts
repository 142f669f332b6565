/** HTTP around a service: routes, limits, coded errors, and an end that lets requests finish. */
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { Logger } from "../contracts/plugin.js";
import { type ErrorCode, RlrfError } from "../errors.js";
import type { Metrics } from "./metrics.js";
import type { Service } from "./service.js";

export interface ServerLimits {
  /** Bytes of a body. */
  readonly body: number;
  /** Requests answered at once. */
  readonly pending: number;
  /** Milliseconds until a request has arrived whole. */
  readonly receive: number;
  /** Milliseconds until a request is answered. */
  readonly answer: number;
  /** Milliseconds between saying that it ends (/ready) and taking no more requests: whoever sends them has to hear of it. */
  readonly drain: number;
}
export interface ServerOptions {
  readonly host: string;
  readonly port: number;
  readonly limits: ServerLimits;
}

const statuses: Readonly<Partial<Record<ErrorCode, number>>> = {
  RLRF_SERVE_REQUEST: 400,
  RLRF_SERVE_ROUTE: 404,
  RLRF_SERVE_SLOW: 408,
  RLRF_SERVE_SIZE: 413,
  RLRF_SERVE_MEDIA: 415,
  RLRF_SERVE_ITEM: 422,
  RLRF_SERVE_BUSY: 503,
  RLRF_SERVE_UNREADY: 503,
  RLRF_SERVE_LATE: 504,
};

export class Server {
  private service: Service | null = null;
  private pending = 0;
  private ending = false;

  private constructor(
    private readonly app: FastifyInstance,
    private readonly metrics: Metrics,
    private readonly limits: ServerLimits,
    private readonly logger: Logger,
  ) {}

  /** Listens and answers /health; /rerank is unready until `serve`. @throws RLRF_SERVE_ADDRESS */
  static async listen({ host, port, limits }: ServerOptions, metrics: Metrics, logger: Logger): Promise<Server> {
    const app = Fastify({
      bodyLimit: limits.body,
      requestTimeout: limits.receive,
      // Node takes the larger of the two for the whole request; the interval is how often it looks whose time is up.
      http: { headersTimeout: limits.receive, connectionsCheckingInterval: Math.min(1000, limits.receive) },
      keepAliveTimeout: 72_000,
      forceCloseConnections: "idle",
      return503OnClosing: false, // what has arrived is answered
      clientErrorHandler: (error, socket) => answerBadClient(error, socket),
    });
    const server = new Server(app, metrics, limits, logger);
    server.route();
    try {
      await app.listen({ host, port });
      return server;
    } catch (cause) {
      const message = `cannot listen on ${host}:${port}: ${(cause as Error).message}`;
      throw new RlrfError("RLRF_SERVE_ADDRESS", { message, hint: "choose another --port or --host" }, { cause });
    }
  }

  get address(): string {
    const { address, port, family } = this.app.addresses()[0] as AddressInfo; // it listens on a port
    return `http://${family === "IPv6" ? `[${address}]` : address}:${port}`;
  }

  serve(service: Service): void {
    this.service = service;
  }

  /** Says that it ends, then takes no more requests, and resolves when those that have come are answered. */
  async end(): Promise<void> {
    this.ending = true;
    if (this.service !== null) await sleep(this.limits.drain);
    await this.app.close();
  }

  private route(): void {
    const { app } = this;
    app.removeContentTypeParser("text/plain");
    app.setReplySerializer((body) => `${JSON.stringify(body)}\n`); // a line, for those who read it in a terminal
    app.addHook("onSend", async (_, reply) => {
      if (this.ending) reply.header("connection", "close");
    });
    app.setErrorHandler((error, request, reply) => this.fail(coded(error as FastifyError), request, reply));
    app.setNotFoundHandler((request, reply) => this.fail(unknownRoute(request), request, reply));
    app.addHook("onResponse", async (request, reply) => {
      this.metrics.answered(request.routeOptions.url ?? "unknown", reply.statusCode, reply.elapsedTime / 1000);
    });
    app.get("/health", async () => ({ status: "alive" }));
    app.get("/ready", async (request, reply) => (this.ready === null ? { status: "ready" } : this.fail(this.ready, request, reply)));
    app.get("/metrics", async (_, reply) => {
      reply.type("text/plain; version=0.0.4; charset=utf-8");
      return this.metrics.text({ rlrf_requests_pending: this.pending });
    });
    app.post("/rerank", async (request) => this.rerank(request.body));
  }

  private get ready(): RlrfError | null {
    if (this.service !== null && !this.ending) return null;
    return new RlrfError("RLRF_SERVE_UNREADY", { message: this.ending ? "the server is ending" : "the model is being loaded" });
  }

  private async rerank(body: unknown) {
    if (this.service === null) throw this.ready;
    if (this.pending >= this.limits.pending)
      throw new RlrfError("RLRF_SERVE_BUSY", { message: `${this.pending} requests are being answered`, hint: "ask again in a second" });
    this.pending++;
    const answering = this.service.rerank(body).finally(() => this.pending--);
    const response = await inTime(answering, this.limits.answer);
    this.metrics.heard(response.text.from);
    return response;
  }

  private fail(error: RlrfError, request: FastifyRequest, reply: FastifyReply) {
    const status = statuses[error.code] ?? 500;
    this.metrics.failed(error.code);
    if (status === 500) this.logger.warn(error.code, `${request.method} ${request.url}: ${error.fault.message}`);
    if (status === 503) reply.header("retry-after", "1");
    reply.status(status);
    // What failed inside is for the log: it may tell of files and addresses.
    const fault = status === 500 ? { message: "the server failed; its log says why" } : error.fault;
    return reply.send({ error: { code: error.code, ...fault } });
  }
}

/** @throws RLRF_SERVE_LATE; what is under way goes on, and counts as pending until it ends */
async function inTime<Answer>(answering: Promise<Answer>, milliseconds: number): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const message = `no answer within ${milliseconds / 1000} s`;
    timer = setTimeout(() => reject(new RlrfError("RLRF_SERVE_LATE", { message })), milliseconds);
  });
  answering.catch(() => undefined); // its failure after that is nobody's any more
  return Promise.race([answering, late]).finally(() => clearTimeout(timer));
}

/** What the HTTP library refuses, in codes of ours. */
function coded(error: FastifyError): RlrfError {
  if (error instanceof RlrfError) return error;
  const fault = { message: error.message };
  if (error.statusCode === 413) return new RlrfError("RLRF_SERVE_SIZE", { message: "the body is larger than the server takes" });
  if (error.statusCode === 415)
    return new RlrfError("RLRF_SERVE_MEDIA", {
      message: "the body is no JSON by its content-type",
      expected: "content-type: application/json",
    });
  if (error.statusCode === 408) return new RlrfError("RLRF_SERVE_SLOW", fault);
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500)
    return new RlrfError("RLRF_SERVE_REQUEST", { message: `malformed: ${error.message}`, expected: "a JSON object" });
  return new RlrfError("RLRF_INTERNAL", fault, { cause: error });
}

function unknownRoute({ method, url }: FastifyRequest): RlrfError {
  const expected = "POST /rerank, GET /health, /ready, /metrics";
  return new RlrfError("RLRF_SERVE_ROUTE", { message: `there is no ${method} ${url.slice(0, 100)}`, expected });
}

/** Bytes that are no HTTP, or a request that never ends. */
function answerBadClient(error: Error & { code?: string }, socket: { writable: boolean; end(text: string): void; destroy(): void }): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const slow = error.code === "ERR_HTTP_REQUEST_TIMEOUT";
  const code: ErrorCode = slow ? "RLRF_SERVE_SLOW" : "RLRF_SERVE_REQUEST";
  const body = JSON.stringify({ error: { code, message: slow ? "the request did not arrive in time" : "this is no HTTP request" } });
  const status = slow ? "408 Request Timeout" : "400 Bad Request";
  socket.end(
    `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
