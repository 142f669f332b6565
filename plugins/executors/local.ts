import { spawn } from "node:child_process";
import { type Executor, options, plugin, type RunUnitsOptions, type Unit, type UnitOutcome, units } from "rlrf4rec";

interface LocalOptions {
  readonly processes: number;
  readonly attempts: number;
}

/** Characters of a unit's output that are kept, from the end: its coded error is there. */
const kept = 64_000;
/** Between asking a unit to end and ending it. */
const patience = 60_000; // ms

@plugin({
  kind: "executor",
  name: "local",
  version: "1.0.0",
  summary: "This machine: a run in its own process, or its units of work as processes beside it",
  source: "POSIX processes",
  options: {
    type: "object",
    properties: {
      processes: {
        type: "integer",
        minimum: 1,
        default: 1,
        unit: "processes",
        description: "Units at once. With 1 a run makes all its steps itself; more share the cores, and each needs memory of its own.",
      },
      attempts: { type: "integer", minimum: 1, default: 3, unit: "attempts", description: "Of a unit whose process is killed." },
    },
  },
})
export class Local implements Executor {
  readonly parallel: number;

  constructor(@options() private readonly options: LocalOptions) {
    this.parallel = options.processes;
  }

  run(work: readonly Unit[], options: RunUnitsOptions = {}): Promise<readonly UnitOutcome[]> {
    const { processes: concurrent, attempts } = this.options;
    return units.attempted(work, options, { concurrent, attempts }, (unit, _, started, signal) => inProcess(unit, started, signal));
  }
}

function inProcess({ command }: Unit, started: units.AttemptStarted, signal: AbortSignal): Promise<units.AttemptResult> {
  return new Promise((resolve, reject) => {
    // A process group of its own: Ctrl-C at the terminal is for the driver, which ends its units in order.
    const child = spawn(process.execPath, [units.rlrfProgram, ...command], {
      env: { ...process.env, ...units.attached },
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
    });
    let stdout = "";
    let all = "";
    child.stdout.on("data", (chunk: Buffer) => {
      stdout = (stdout + chunk).slice(-kept);
      all = (all + chunk).slice(-kept);
    });
    child.stderr.on("data", (chunk: Buffer) => (all = (all + chunk).slice(-kept)));
    let impatience: NodeJS.Timeout | undefined;
    const onAbort = () => {
      child.kill("SIGTERM");
      impatience ??= setTimeout(() => units.endGroup(child.pid, "SIGKILL"), patience); // with what it has started itself
    };
    signal.addEventListener("abort", onAbort, { once: true });
    let unheard: unknown;
    child.once("spawn", () => {
      try {
        started(`process ${child.pid}`);
      } catch (error) {
        unheard = error; // such as of a full disk: what nobody hears of is not gone on with
        onAbort();
      }
    });
    child.once("error", reject); // it could not even be started
    child.once("close", (exitCode, killed) => {
      clearTimeout(impatience);
      signal.removeEventListener("abort", onAbort);
      if (unheard !== undefined) return reject(unheard);
      const output = units.errorIn(stdout) === undefined ? all : stdout;
      resolve({ exitCode, output, ...(killed !== null && { lost: `its process was ended by ${killed}` }) });
    });
  });
}
