import { setTimeout as sleep } from "node:timers/promises";
import { type Executor, type Logger, logger, options, plugin, type RunUnitsOptions, type Unit, type UnitOutcome, units } from "rlrf4rec";
import { type Job, Jobs } from "./ray/jobs.js";

interface RayOptions {
  readonly address: string | null;
  readonly token?: string;
  readonly jobs: number;
  readonly attempts: number;
  readonly patience: number;
  readonly program: readonly string[] | null;
  readonly folder: string | null;
  readonly workingDirectory: string | null;
  readonly image: string | null;
  readonly environment: readonly string[];
  readonly gpus: number | null;
}

/** Between two looks at a job: a share of the time that it has run, so that short units are not waited for and long ones not pestered. */
const look = { share: 0.05, first: 100, last: 5_000 } as const; // ms
/** That nothing has begun is told after this: what is asked for may be on no node. */
const longWait = 30_000; // ms
/** For stopping a job when the run ends: somebody waits for that, and the head may be what it ends for. */
const farewell = 10_000; // ms

@plugin({
  kind: "executor",
  name: "ray",
  version: "1.0.0",
  summary: "A Ray cluster: each unit of work is a job of its Jobs REST API, with cores, GPUs and memory asked for",
  source: "Moritz et al. 2018, arXiv 1712.05889; Ray 2.60, Jobs REST API",
  options: {
    type: "object",
    properties: {
      address: {
        type: ["string", "null"],
        default: null,
        fromEnvironment: "RLRF_RAY_ADDRESS",
        description: "The head's dashboard, e.g. http://10.0.0.1:8265; null = RLRF_RAY_ADDRESS. Whoever reaches it can run programs there.",
      },
      token: { secret: true, description: "Sent as a bearer token, for clusters with token authentication." },
      jobs: { type: "integer", minimum: 1, default: 16, unit: "jobs", description: "Units at once, at most." },
      attempts: { type: "integer", minimum: 1, default: 5, unit: "attempts", description: "Of a unit whose worker or node is lost." },
      patience: {
        type: "number",
        minimum: 0,
        default: 600,
        unit: "seconds",
        description: "How long the cluster may be unreachable, such as while its head is started again.",
      },
      program: {
        type: ["array", "null"],
        items: { type: "string", minLength: 1 },
        minItems: 1,
        default: null,
        description: "The `rlrf` command on the nodes; null = Node with this installation, at the same path.",
      },
      folder: {
        type: ["string", "null"],
        default: null,
        description: "Folder on the nodes in which units run; null = this process' own, or the unpacked workingDirectory.",
      },
      workingDirectory: {
        type: ["string", "null"],
        default: null,
        description: "URI of a zip that Ray unpacks on the nodes (runtime_env.working_dir); null = the nodes have what they need.",
      },
      image: { type: ["string", "null"], default: null, description: "Container image in which units run (runtime_env.image_uri)." },
      environment: {
        type: "array",
        items: { type: "string", pattern: "^[A-Za-z_][A-Za-z0-9_]*$" },
        default: ["RLRF_ENGINE", "RLRF_HOME", "RLRF_PLUGINS", "RLRF_THREADS"],
        description: "Environment variables that units inherit from this process. They can be read in Ray's dashboard: no secrets.",
      },
      gpus: {
        type: ["number", "null"],
        minimum: 0,
        default: null,
        unit: "GPUs",
        description: "Asked for by units that run the language model; null = as they estimate.",
      },
    },
  },
})
export class Ray implements Executor {
  readonly parallel: number;
  private client: Jobs | undefined;
  /** Some unit has found a node, or it was told that none does. */
  private settled = false;

  constructor(
    @options() private readonly options: RayOptions,
    @logger() private readonly logger: Logger,
  ) {
    this.parallel = options.jobs;
  }

  /** Made when it is needed: a process that only reads a spec needs no cluster. */
  private get jobs(): Jobs {
    const { address, token, patience } = this.options;
    this.client ??= new Jobs({ address: address ?? process.env.RLRF_RAY_ADDRESS ?? "", token, patience: patience * 1000 });
    return this.client;
  }

  async prepare(): Promise<void> {
    await this.jobs.version();
  }

  async run(work: readonly Unit[], options: RunUnitsOptions = {}): Promise<readonly UnitOutcome[]> {
    const known = work.length === 0 || options.signal?.aborted ? [] : await this.jobs.list(options.signal);
    const names = new JobNames(known);
    const { jobs: concurrent, attempts } = this.options;
    return units.attempted(work, options, { concurrent, attempts }, async (unit, number, started, signal) => {
      const entrypoint = this.entrypoint(unit);
      for (let living = number === 1 ? names.living(unit.id, entrypoint) : undefined; ; living = undefined) {
        const name = living ?? names.next(unit.id);
        try {
          if (living === undefined) await this.submit(unit, name, entrypoint, signal);
          const job = await this.follow(unit, name, started, signal);
          if (!isGivenUp(job)) return await this.resultOf(name, job, signal);
        } catch (error) {
          if (signal.aborted) await this.jobs.stop(name, AbortSignal.timeout(farewell)).catch(() => undefined); // unreachable: the store's lease keeps it harmless
          throw error;
        }
        this.tellOfWaiting(unit);
      }
    });
  }

  async stop(prefix: string): Promise<readonly string[]> {
    const own = (await this.jobs.list()).filter((job) => job.name.startsWith(`rlrf.${prefix}`) && isLiving(job));
    for (const { name } of own) await this.jobs.stop(name);
    return own.map(({ name }) => name);
  }

  private tellOfWaiting(unit: Unit): void {
    this.logger.info(`${unit.id} waits for a node with ${shown(this.asked(unit))} free`);
  }

  private asked({ resources }: Unit): Unit["resources"] {
    const { gpus } = this.options;
    return resources.languageModel && gpus !== null ? { ...resources, gpus } : resources;
  }

  private submit(unit: Unit, name: string, entrypoint: string, signal: AbortSignal): Promise<void> {
    const { workingDirectory, image, environment } = this.options;
    const variables = environment.flatMap((variable) => {
      const value = process.env[variable];
      return value === undefined ? [] : [[variable, value] as const];
    });
    const runtime = {
      ...(workingDirectory !== null && { working_dir: workingDirectory }),
      ...(image !== null && { image_uri: image }),
      env_vars: Object.fromEntries(variables),
    };
    return this.jobs.submit({ name, entrypoint, ...this.asked(unit), runtime }, signal);
  }

  private entrypoint({ command }: Unit): string {
    const { program, folder, workingDirectory } = this.options;
    const words = [...(program ?? ["node", units.rlrfProgram]), ...command].map(quoted).join(" ");
    const at = folder ?? (workingDirectory === null ? process.cwd() : null);
    return at === null ? `exec ${words}` : `cd ${quoted(at)} && exec ${words}`;
  }

  /** @returns the job as it ended; null where the cluster has forgotten it */
  private async follow(unit: Unit, name: string, started: units.AttemptStarted, signal: AbortSignal): Promise<Job | null> {
    const begun = performance.now();
    let told = false;
    for (;;) {
      const job = await this.jobs.status(name, signal);
      if (!told && job !== null && job.status !== "PENDING" && !isGivenUp(job)) {
        started(`job ${name}`);
        told = true;
        this.settled = true;
      }
      if (!this.settled && performance.now() - begun > longWait) {
        this.settled = true;
        this.tellOfWaiting(unit);
      }
      if (job === null || !isLiving(job)) return job;
      const pause = Math.min(look.last, Math.max(look.first, look.share * (performance.now() - begun)));
      await sleep(pause, undefined, { signal });
    }
  }

  private async resultOf(name: string, job: Job | null, signal: AbortSignal): Promise<units.AttemptResult> {
    if (job === null) return { exitCode: null, output: "", lost: `the cluster knows its job ${name} no more` };
    const { status, message, errorType, exitCode } = job;
    if (status === "SUCCEEDED") return { exitCode: 0, output: "" };
    if (status === "STOPPED") return { exitCode, output: "", stopped: true };
    const output = (await this.jobs.logs(name, signal)) || message;
    if (errorType === "JOB_ENTRYPOINT_COMMAND_ERROR") return { exitCode, output };
    return { exitCode: null, output, lost: message.split("\n")[0] ?? "its job failed" };
  }
}

function isLiving({ status }: Job): boolean {
  return status === "PENDING" || status === "RUNNING";
}

/** Ray ends a job that has found no node with what it asks for within 15 minutes: it was never begun, and may queue again under another name. */
function isGivenUp(job: Job | null): boolean {
  return job?.errorType === "JOB_SUPERVISOR_ACTOR_START_TIMEOUT";
}

/** For people. */
function shown({ cpus, gpus, memoryBytes }: Unit["resources"]): string {
  return `${cpus} cores, ${gpus > 0 ? `${gpus} GPUs, ` : ""}${(memoryBytes / 1e9).toFixed(1)} GB of memory`;
}

/** Jobs are named rlrf.UNIT.NUMBER; a name is never used again, whichever process counts on. */
class JobNames {
  private readonly highest = new Map<string, number>();
  private readonly jobs = new Map<string, Job>();

  constructor(known: readonly Job[]) {
    for (const job of known) {
      const [, unit, number] = /^rlrf\.(.+)\.(\d+)$/.exec(job.name) ?? [];
      if (unit === undefined || Number(number) < (this.highest.get(unit) ?? 0)) continue;
      this.highest.set(unit, Number(number));
      this.jobs.set(unit, job);
    }
  }

  /** The job of an earlier process that does the same and still lives: it is followed, not begun again. */
  living(unit: string, entrypoint: string): string | undefined {
    const job = this.jobs.get(unit);
    return job !== undefined && isLiving(job) && job.entrypoint === entrypoint ? job.name : undefined;
  }

  next(unit: string): string {
    const number = (this.highest.get(unit) ?? 0) + 1;
    this.highest.set(unit, number);
    return `rlrf.${unit}.${number}`;
  }
}

/** For the shell that runs a job's entrypoint. */
function quoted(word: string): string {
  return /^[A-Za-z0-9_/.:=@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
