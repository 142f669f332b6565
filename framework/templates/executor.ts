import { execFile } from "node:child_process";
import { type Executor, options, plugin, type RunUnitsOptions, type Unit, type UnitOutcome, units } from "rlrf4rec";

interface TemplateOptions {
  readonly processes: number;
}

/** Stands in for a cluster of yours: hand the command of a unit over here instead. */
@plugin({
  kind: "executor",
  name: "@team/package/name",
  version: "1.0.0",
  summary: "Units of work as processes of this machine",
  source: "POSIX processes",
  options: {
    type: "object",
    properties: { processes: { type: "integer", minimum: 1, default: 2, unit: "processes", description: "Units at once" } },
  },
})
export class Template implements Executor {
  readonly parallel: number;

  constructor(@options() private readonly options: TemplateOptions) {
    this.parallel = options.processes;
  }

  /** What is lost is begun again, at most three times; what tells a coded error is not. */
  run(work: readonly Unit[], options: RunUnitsOptions = {}): Promise<readonly UnitOutcome[]> {
    const limits = { concurrent: this.options.processes, attempts: 3 };
    return units.attempted(work, options, limits, (unit, _, started, signal) => inProcess(unit, started, signal));
  }
}

function inProcess({ command }: Unit, started: units.AttemptStarted, signal: AbortSignal): Promise<units.AttemptResult> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [units.rlrfProgram, ...command], { signal, maxBuffer: 64 << 20 }, (_error, stdout, stderr) => {
      const output = units.errorIn(stdout) === undefined ? stdout + stderr : stdout;
      const lost = child.signalCode === null ? {} : { lost: `its process was ended by ${child.signalCode}` };
      resolve({ exitCode: child.exitCode, output, ...lost });
    });
    child.once("spawn", () => started(`process ${child.pid}`));
  });
}
