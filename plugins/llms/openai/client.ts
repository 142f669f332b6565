/** Requests to one server: repeated when they failed for a passing reason, and with coded errors that say what the server said when not. */
import nodeHttp from "node:http";
import nodeHttps from "node:https";
import { http, type Logger, RlrfError } from "rlrf4rec";
import type { Endpoint } from "./endpoint.js";

/** All times in milliseconds. */
export interface Limits {
  /** Tries of a request. */
  readonly attempts: number;
  /** The longest wait before the second try; it doubles from try to try. */
  readonly firstWait: number;
  readonly connectTimeout: number;
  /** Until the last byte of an answer. */
  readonly timeout: number;
  readonly concurrency: number;
}

export interface Call<Answer> {
  /** Sent as JSON. */
  readonly body?: object;
  /** @throws Unusable */
  readonly read: (body: Buffer) => Answer;
  /** Statuses besides 2xx that are an answer too. */
  readonly accept?: (status: number, said: string) => boolean;
  readonly attempts?: number;
  /** Tries where what comes is not usable; default: `attempts`. */
  readonly unusable?: number;
  /** What a usable answer is, for errors; default: one of chat completions. */
  readonly wanted?: Wanted;
  readonly signal?: AbortSignal | undefined;
}

export interface Wanted {
  readonly expected: string;
  readonly hint: string;
}
const chatAnswer: Wanted = {
  expected: "an answer of OpenAI's chat completions interface",
  hint: 'check options.baseUrl; for a server with several choices trouble, set options.choices to "requests"',
};

/** An answer that came, and is not what was asked for: a cut or wrong body, a wrong number of choices. Asking again may help. */
export class Unusable extends Error {}

/** No server is asked again after a longer wait, unless it asks for one. */
export const longestWait = 60_000;
/** None is waited for longer. */
const longestAsked = 10 * 60_000;
/** Waits from here on are told. */
const worthTelling = 10_000;
/** A text has some kilobytes; with log-probabilities of every token some hundred. */
const answerBytes = 32 << 20;

/** A refusal that asking again does not change. */
export class Refused extends RlrfError {
  constructor(
    fault: RlrfError["fault"],
    readonly status: number,
  ) {
    super("RLRF_LLM_HTTP_REFUSED", fault);
  }
}

/** Why a try failed, where another one may not. */
interface Failure {
  readonly kind: "unreachable" | "busy" | "unusable";
  /** Status and words. */
  readonly said: string;
  /** What the server asks to wait, milliseconds. */
  readonly asked?: number | undefined;
}

export class Client {
  private readonly agent: nodeHttp.Agent;
  /** Nothing is sent before: a server that asks one request to wait means all of them. */
  private asked = { until: 0, said: "" };
  readonly counts = { answers: 0, failures: 0 };

  constructor(
    readonly endpoint: Endpoint,
    private readonly key: string | undefined,
    private readonly limits: Limits,
    private readonly logger: Logger,
  ) {
    const settings = { keepAlive: true, maxSockets: limits.concurrency };
    this.agent = endpoint.base.startsWith("https:") ? new nodeHttps.Agent(settings) : new nodeHttp.Agent(settings);
  }

  close(): void {
    this.agent.destroy();
  }

  /** Milliseconds since 1970: when the server may be asked again, by its own word. */
  get resumeAt(): number {
    return this.asked.until;
  }

  /** @returns milliseconds until then @throws RLRF_LLM_HTTP_UNREACHABLE when the server asks for more patience than there is */
  untilResumed(): number {
    const wait = this.asked.until - Date.now();
    if (wait > longestAsked) throw tooLong(this.endpoint.base, this.asked.said, wait);
    return wait;
  }

  /** @throws RLRF_LLM_HTTP_…, or the signal's reason */
  async send<Answer>(method: "GET" | "POST", address: string, call: Call<Answer>): Promise<Answer> {
    const url = new URL(address);
    const { attempts = this.limits.attempts, unusable = attempts, signal } = call;
    for (let attempt = 1; ; attempt++) {
      await http.pause(this.untilResumed(), signal);
      const outcome = await this.once(method, url, call);
      if ("answer" in outcome) {
        this.counts.answers++;
        return outcome.answer;
      }
      this.counts.failures++;
      const wait = this.waitAfter(attempt, outcome);
      if (attempt >= (outcome.kind === "unusable" ? unusable : attempts)) throw gaveUp(url, outcome, attempt, call.wanted ?? chatAnswer);
      await http.pause(wait, signal);
    }
  }

  private async once<Answer>(method: "GET" | "POST", url: URL, call: Call<Answer>): Promise<{ readonly answer: Answer } | Failure> {
    const { body, read, accept = () => false, signal } = call;
    const { connectTimeout, timeout: wholeTimeout } = this.limits;
    let response: http.HttpResponse;
    try {
      response = await http.request(url, {
        method,
        headers: this.headers(body !== undefined),
        ...(body === undefined ? {} : { body: Buffer.from(JSON.stringify(body), "utf8") }),
        connectTimeout,
        wholeTimeout,
        limit: answerBytes,
        agent: this.agent,
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (error) {
      signal?.throwIfAborted();
      return { kind: "unreachable", said: this.redacted(http.failureText(error)) };
    }
    const said = this.redacted(wordsOf(response.body));
    const { status } = response;
    if ((status >= 200 && status < 300) || accept(status, said)) {
      try {
        return { answer: read(response.body) };
      } catch (error) {
        if (!(error instanceof Unusable)) throw error;
        return { kind: "unusable", said: `${status}, ${this.redacted(error.message)}` };
      }
    }
    if (!mayPass(status, said)) throw refused(url, response, `${status} ${said}`.trim());
    return { kind: "busy", said: `${status} ${said}`.trim(), asked: http.retryAfter(response.headers["retry-after"], Date.now()) };
  }

  /** @throws RLRF_LLM_HTTP_UNREACHABLE when the server asks for more patience than there is */
  private waitAfter(attempt: number, { asked, said }: Failure): number {
    const own = http.backoff(attempt, { first: this.limits.firstWait, longest: longestWait });
    if (asked === undefined) return own;
    const later = Date.now() + asked > this.asked.until;
    if (later) this.asked = { until: Date.now() + asked, said };
    const wait = this.untilResumed();
    if (later && asked >= worthTelling) this.logger.info(`${this.endpoint.host} asks to wait ${Math.round(asked / 1000)} s (${said})`);
    return wait + own; // spread out, so that those who waited together do not come back together
  }

  private headers(withBody: boolean): Record<string, string> {
    return {
      accept: "application/json",
      ...(withBody ? { "content-type": "application/json" } : {}),
      ...(this.key === undefined ? {} : { authorization: `Bearer ${this.key}` }),
    };
  }

  /** A server may repeat the key in its refusal. */
  private redacted(text: string): string {
    return this.key === undefined ? text : text.replaceAll(this.key, "***");
  }
}

/** 429 and server errors pass; an empty account (OpenAI's 429) and what a server does not implement do not. */
function mayPass(status: number, said: string): boolean {
  if (status === 429) return !/insufficient_quota/.test(said);
  return [408, 409, 425].includes(status) || (status >= 500 && status !== 501 && status !== 505);
}

/** `{"error": {"message", "code"}}`, `{"error": "…"}`, `{"detail": …}`, `{"message": "…"}`, or whatever text it is. */
function wordsOf(body: Buffer): string {
  try {
    const { error, detail, message } = JSON.parse(body.toString("utf8", 0, 65_536)) as Record<string, unknown>;
    const inner = (typeof error === "object" && error !== null ? error : {}) as { message?: unknown; code?: unknown };
    const words = inner.message ?? error ?? detail ?? message;
    if (words !== undefined) {
      const code = typeof inner.code === "string" ? `${inner.code}: ` : "";
      return http.saidIn(code + (typeof words === "string" ? words : JSON.stringify(words)));
    }
  } catch {
    // Not JSON: a proxy's page, for instance.
  }
  return http.saidIn(body);
}

function addressOf(url: URL): string {
  return `${url.origin}${url.pathname}`;
}

function refused(url: URL, { status, headers }: http.HttpResponse, said: string): RlrfError {
  const where = addressOf(url);
  if (status === 401 || status === 403) {
    const hint = 'give a valid key as "key": {"env": "NAME"}, and set that variable';
    return new RlrfError("RLRF_LLM_HTTP_AUTH", { message: `the server does not accept the key: ${said}`, where, hint });
  }
  if (status >= 300 && status < 400) {
    const target = headers.location === undefined ? "" : ` (it points to ${http.saidIn(headers.location)})`;
    const hint = "write the address that it points to into options.baseUrl: no key follows a redirection";
    return new Refused({ message: `the server sends the request elsewhere: ${said}${target}`, where, hint }, status);
  }
  const hint =
    status === 404
      ? "check options.baseUrl (it usually ends in /v1) and options.model"
      : "read what the server says; a field that it does not take can be left out by options or by the sampling strategy";
  return new Refused({ message: `the server refused the request: ${said}`, where, hint }, status);
}

function gaveUp(url: URL, { kind, said }: Failure, attempts: number, wanted: Wanted): RlrfError {
  const where = addressOf(url);
  const tries = attempts === 1 ? "in one try" : `in ${attempts} tries`;
  if (kind === "unusable")
    return new RlrfError("RLRF_LLM_HTTP_ANSWER", {
      message: `the server gave no usable answer ${tries}; the last one: ${said}`,
      where,
      ...wanted,
    });
  return new RlrfError("RLRF_LLM_HTTP_UNREACHABLE", {
    message: `the server did not answer ${tries}; the last time: ${said}`,
    where,
    hint: "start it, check the address, or lower options.concurrency; every finished text is kept, and the same command goes on from there",
  });
}

function tooLong(where: string, said: string, wait: number): RlrfError {
  return new RlrfError("RLRF_LLM_HTTP_UNREACHABLE", {
    message: `the server asks to wait ${Math.round(wait / 1000)} s: ${said}`,
    where,
    expected: `a server that answers within ${longestAsked / 1000} s`,
    hint: "give the same command again later: every finished text is kept",
  });
}
