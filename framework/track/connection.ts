/** Requests to one MLflow server: repeated when they failed for a passing reason, and with coded errors when not. */
import http from "node:http";
import https from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "../contracts/plugin.js";
import { RlrfError } from "../errors.js";
import { backoff, failureText, type HttpRequest, type HttpResponse, request, retryAfter, saidIn } from "../http/index.js";

export interface ClientOptions {
  /** Milliseconds without a byte from the server. */
  readonly timeout?: number;
  /** Tries of a request that may be repeated. */
  readonly attempts?: number;
  /** Milliseconds: the longest wait before the second try; it doubles. */
  readonly backoff?: number;
  /** Hears of each try that failed. */
  readonly logger?: Logger;
  /** What is sent is in a journal, from which it can be sent again. */
  readonly replayed?: boolean;
}

export interface Call {
  readonly body?: HttpRequest["body"];
  readonly type?: string;
  readonly attempts?: number;
  /** A 404 is an answer. */
  readonly missing?: boolean;
  /** Bytes of an answer at most. */
  readonly limit?: number;
  /** A file that the answer is written to. */
  readonly into?: string;
}

const longestWait = 8_000;

export class Connection {
  readonly uri: string;
  private readonly agent: http.Agent;
  private readonly timeout: number;
  private readonly attempts: number;
  private readonly backoff: number;
  private readonly logger: Logger | undefined;
  private readonly replayed: boolean;

  /** @throws RLRF_TRACK_URI */
  constructor(uri: string, { timeout = 30_000, attempts = 5, backoff = 500, logger, replayed = false }: ClientOptions) {
    const base = parseUri(uri);
    this.uri = base.href.replace(/\/+$/, "");
    this.agent = base.protocol === "https:" ? new https.Agent({ keepAlive: true }) : new http.Agent({ keepAlive: true });
    this.timeout = timeout;
    this.attempts = attempts;
    this.backoff = backoff;
    this.logger = logger;
    this.replayed = replayed;
  }

  close(): void {
    this.agent.destroy();
  }

  async json<Answer>(method: HttpRequest["method"], path: string, call: Call = {}): Promise<Answer | null> {
    const response = await this.send(method, path, call);
    return response === null ? null : parseBody<Answer>(response, this.uri);
  }

  /** @returns null for a 404 when `missing` is allowed */
  async send(
    method: HttpRequest["method"],
    path: string,
    { body, type, attempts = this.attempts, missing = false, limit, into }: Call,
  ): Promise<HttpResponse | null> {
    const url = new URL(`${this.uri}/api/2.0/${path}`);
    const headers = { ...authorization(), accept: "application/json", ...(type === undefined ? {} : { "content-type": type }) };
    for (let attempt = 1; ; attempt++) {
      let failure: string;
      let wait = backoff(attempt, { first: this.backoff, longest: longestWait });
      try {
        const response = await request(url, {
          method,
          headers,
          timeout: this.timeout,
          agent: this.agent,
          ...(body === undefined ? {} : { body }),
          ...(limit === undefined ? {} : { limit }),
          ...(into === undefined ? {} : { into }),
        });
        if (response.status >= 200 && response.status < 300) return response;
        if (response.status === 404 && missing) return null;
        if (response.status !== 429 && response.status < 500) throw refusal(response, url);
        failure = `${response.status} ${messageOf(response)}`;
        const asked = retryAfter(response.headers["retry-after"], Date.now());
        if (asked !== undefined) wait = Math.min(asked, 4 * longestWait);
      } catch (error) {
        if (error instanceof RlrfError) throw error;
        failure = failureText(error);
      }
      if (attempt >= attempts) throw this.unreachable(path, failure, attempts);
      this.logger?.info(`MLflow at ${this.uri}, try ${attempt} of ${attempts}: ${failure}; again in ${(wait / 1000).toFixed(1)} s`);
      await sleep(wait);
    }
  }

  private unreachable(path: string, failure: string, attempts: number): RlrfError {
    const replay = this.replayed ? "; nothing is lost: the journal has it all, and `rlrf sync --to URI` replays it" : "";
    return new RlrfError("RLRF_TRACK_UNREACHABLE", {
      message: `MLflow did not take ${path.split("?")[0]}${attempts > 1 ? ` in ${attempts} tries` : ""}: ${failure}`,
      where: this.uri,
      hint: `start it (\`npm run mlflow\` starts a local one) or check the URI${replay}`,
    });
  }
}

/** @throws RLRF_TRACK_URI */
export function parseUri(uri: string): URL {
  const url = URL.canParse(uri) ? new URL(uri) : null;
  const fault = (message: string, hint: string) =>
    new RlrfError("RLRF_TRACK_URI", { message, expected: "http://HOST:PORT or https://HOST of an MLflow 3 server", hint });
  if (url !== null && (url.username !== "" || url.password !== ""))
    throw fault(
      "the tracking URI holds credentials",
      "set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, instead",
    );
  if (url === null || !["http:", "https:"].includes(url.protocol))
    throw fault(`"${uri}" is not the address of a server`, "start one with `npm run mlflow`; it prints its URI");
  url.search = "";
  url.hash = "";
  return url;
}

/** From the environment alone, read for each request: never kept, never logged. */
function authorization(): Record<string, string> {
  const { MLFLOW_TRACKING_TOKEN: token, MLFLOW_TRACKING_USERNAME: user, MLFLOW_TRACKING_PASSWORD: password } = process.env;
  if (user && password) return { authorization: `Basic ${Buffer.from(`${user}:${password}`, "utf8").toString("base64")}` };
  return token ? { authorization: `Bearer ${token}` } : {};
}

function parseBody<Answer>(response: HttpResponse, uri: string): Answer {
  try {
    return JSON.parse(response.body.toString("utf8")) as Answer;
  } catch {
    throw new RlrfError("RLRF_TRACK_SERVER", {
      message: `the answer is not JSON: ${response.body.toString("utf8", 0, 100)}`,
      where: uri,
      expected: "an MLflow 3 server",
      hint: "check the tracking URI",
    });
  }
}

function messageOf(response: HttpResponse): string {
  const text = response.body.toString("utf8");
  try {
    const { error_code: code, message } = JSON.parse(text) as { error_code?: string; message?: string };
    if (message !== undefined) return `${code ?? ""} ${message}`.trim();
  } catch {
    // Not MLflow's own answer: a proxy's, for instance.
  }
  return saidIn(text);
}

function refusal(response: HttpResponse, url: URL): RlrfError {
  const where = `${url.origin}${url.pathname}`;
  const message = `${response.status} ${messageOf(response)}`;
  if (response.status === 401 || response.status === 403)
    return new RlrfError("RLRF_TRACK_AUTH", {
      message,
      where,
      hint: "set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, in the environment",
    });
  if ([301, 302, 303, 307, 308, 404, 405].includes(response.status) && !/"error_code"/.test(response.body.toString("utf8", 0, 1000)))
    return new RlrfError("RLRF_TRACK_SERVER", {
      message: response.headers.location === undefined ? message : `${message} (it points to ${response.headers.location})`,
      where,
      expected: "an MLflow 3 server",
      hint: "check the tracking URI",
    });
  return new RlrfError("RLRF_TRACK_REFUSED", { message, where });
}
