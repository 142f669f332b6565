/** Ray's Jobs REST API, as far as an executor needs it: each call goes on through what passes, and ends with a coded error when it does not. */
import { http, RlrfError } from "rlrf4rec";

/** What Ray tells of a job. */
export interface Job {
  readonly name: string;
  readonly status: "PENDING" | "RUNNING" | "STOPPED" | "SUCCEEDED" | "FAILED";
  readonly entrypoint: string;
  /** In Ray's words; of a failed command with its last lines. */
  readonly message: string;
  /** Why a job failed: JOB_ENTRYPOINT_COMMAND_ERROR when its command did. */
  readonly errorType: string | null;
  readonly exitCode: number | null;
}

export interface Submission {
  readonly name: string;
  readonly entrypoint: string;
  readonly cpus: number;
  readonly gpus: number;
  readonly memoryBytes: number;
  readonly runtime: Readonly<Record<string, unknown>>;
}

export interface JobsSettings {
  /** http://HOST:8265 */
  readonly address: string;
  readonly token?: string | undefined;
  /** Milliseconds that the cluster may be unreachable, such as while its head is started again. */
  readonly patience: number;
}

const retries: http.Backoff = { first: 250, longest: 5_000 };
const timeouts = { connectTimeout: 5_000, wholeTimeout: 60_000 }; // ms
/** A list of all jobs that a cluster remembers. */
const answerBytes = 64 << 20;

export class Jobs {
  private readonly base: URL;

  constructor(private readonly settings: JobsSettings) {
    this.base = addressOf(settings.address);
  }

  /** @throws RLRF_RAY_UNREACHABLE, RLRF_RAY_REFUSED when what answers is no Ray */
  async version(signal?: AbortSignal): Promise<string> {
    const { ray_version: version } = (await this.ask("GET", "api/version", { signal, patience: 15_000 })) as {
      readonly ray_version?: unknown;
    };
    if (typeof version === "string") return version;
    throw refused(this.base, "what answers does not speak Ray's Jobs API");
  }

  /** Of every user of the cluster. */
  async list(signal?: AbortSignal): Promise<readonly Job[]> {
    const jobs = await this.ask("GET", "api/jobs/", { signal });
    return Array.isArray(jobs) ? jobs.flatMap((job) => jobOf(job) ?? []) : [];
  }

  /** @returns null where the cluster knows no such job (any more) */
  async status(name: string, signal?: AbortSignal): Promise<Job | null> {
    return jobOf(await this.ask("GET", `api/jobs/${name}`, { signal, missing: null })) ?? null;
  }

  /** Done once, however often it is asked for: a job's name is taken by the first. */
  async submit({ name, entrypoint, cpus, gpus, memoryBytes, runtime }: Submission, signal?: AbortSignal): Promise<void> {
    const body = {
      submission_id: name,
      entrypoint,
      entrypoint_num_cpus: cpus,
      entrypoint_num_gpus: gpus,
      entrypoint_memory: Math.ceil(memoryBytes),
      runtime_env: runtime,
    };
    await this.ask("POST", "api/jobs/", { signal, body, isDone: (said) => said.includes(`${name} already exists`) });
  }

  async stop(name: string, signal?: AbortSignal): Promise<void> {
    await this.ask("POST", `api/jobs/${name}/stop`, { signal, missing: null });
  }

  /** What the job printed, or "" where its node is gone with it. */
  async logs(name: string, signal?: AbortSignal): Promise<string> {
    const answer = await this.once("GET", `api/jobs/${name}/logs`, signal).catch(() => null);
    signal?.throwIfAborted();
    if (answer?.status !== 200) return "";
    const { logs } = (parsed(answer.body) ?? {}) as { readonly logs?: unknown };
    return typeof logs === "string" ? logs : "";
  }

  private async ask(
    method: "GET" | "POST",
    path: string,
    {
      signal,
      body,
      missing,
      isDone,
      patience = this.settings.patience,
    }: {
      readonly signal?: AbortSignal | undefined;
      readonly body?: object;
      /** What a 404 means; a refusal when left out. */
      readonly missing?: null;
      /** Whether an error says that what was asked for is there already. */
      readonly isDone?: (said: string) => boolean;
      readonly patience?: number;
    },
  ): Promise<unknown> {
    const deadline = Date.now() + patience;
    for (let attempt = 1; ; attempt++) {
      const answer = await this.once(method, path, signal, body).catch((error: unknown) => {
        signal?.throwIfAborted();
        return { failed: http.failureText(error) };
      });
      if ("status" in answer && answer.status < 300) {
        const value = parsed(answer.body);
        if (value !== undefined) return value;
        throw refused(this.base, "what answers does not speak Ray's Jobs API");
      }
      if ("status" in answer) {
        const said = answer.body.toString("utf8");
        if (answer.status === 404 && missing === null) return null;
        if (isDone?.(said)) return null;
        if (answer.status < 500 && answer.status !== 408 && answer.status !== 429)
          throw refused(this.base, `${answer.status} ${lastLine(said)}`);
      }
      const failure = "failed" in answer ? answer.failed : `${answer.status} ${lastLine(answer.body.toString("utf8"))}`;
      if (Date.now() > deadline) throw unreachable(this.base, failure, patience);
      await http.pause(http.backoff(attempt, retries), signal);
    }
  }

  private once(method: "GET" | "POST", path: string, signal?: AbortSignal, body?: object): Promise<http.HttpResponse> {
    const { token } = this.settings;
    return http.request(new URL(path, this.base), {
      method,
      headers: { "content-type": "application/json", ...(token !== undefined && { authorization: `Bearer ${token}` }) },
      ...(body !== undefined && { body: Buffer.from(JSON.stringify(body), "utf8") }),
      ...timeouts,
      limit: answerBytes,
      ...(signal !== undefined && { signal }),
    });
  }
}

function addressOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url !== null && /^https?:$/.test(url.protocol) && url.username === "" && url.password === "")
    return new URL(url.href.endsWith("/") ? url.href : `${url.href}/`);
  throw new RlrfError("RLRF_RAY_ADDRESS", {
    message: text === "" ? "the executor ray has no address" : "the address of the executor ray is no URL of a Jobs API",
    where: "/executor/options/address",
    expected: "http://HOST:8265, as `ray start --head` tells it, without a password in it",
    hint: "set executor.options.address in the spec, or RLRF_RAY_ADDRESS",
  });
}

function jobOf(value: unknown): Job | undefined {
  const job = value as Readonly<Record<string, unknown>> | null;
  if (typeof job !== "object" || job === null || typeof job.submission_id !== "string" || typeof job.status !== "string") return undefined;
  return {
    name: job.submission_id,
    status: job.status as Job["status"],
    entrypoint: String(job.entrypoint ?? ""),
    message: String(job.message ?? ""),
    errorType: typeof job.error_type === "string" ? job.error_type : null,
    exitCode: typeof job.driver_exit_code === "number" ? job.driver_exit_code : null,
  };
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    return undefined;
  }
}

/** Ray answers errors with a traceback: what happened stands in its last line. */
function lastLine(said: string): string {
  const lines = said.split("\n").filter((line) => /\w/.test(line));
  return http.saidIn(lines.at(-1) ?? "");
}

function refused(base: URL, said: string): RlrfError {
  return new RlrfError("RLRF_RAY_REFUSED", {
    message: `the Ray cluster refuses a request: ${said}`,
    where: base.href,
    expected: "the Jobs API of a Ray 2.x head (the address of its dashboard)",
    hint: "check executor.options.address, and executor.options.token where the cluster asks for one",
  });
}

function unreachable(base: URL, failure: string, patience: number): RlrfError {
  return new RlrfError("RLRF_RAY_UNREACHABLE", {
    message: `the Ray cluster did not answer for ${Math.round(patience / 1000)} s: ${failure}`,
    where: base.href,
    expected: "a Ray head with its dashboard",
    hint: "start it (ray start --head); what is done is kept, and the same command goes on from here",
  });
}
