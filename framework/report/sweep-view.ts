/** A sweep as its report shows it, and which of its trials are shown whole. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { RlrfError } from "../errors.js";
import { insideOf } from "../store/run-folder.js";
import type { SweepReport } from "../sweep/report.js";
import { sweepName } from "../sweep/report.js";
import type { SweepView } from "./page/data.js";
import { readFitting } from "./rows.js";

/** The best trials of a sweep that are shown whole, and stand side by side. */
const wholeTrials = 4;

export interface ReadSweep {
  readonly view: SweepView;
  /** Folders of runs, the best first. */
  readonly runs: readonly string[];
}

/** @returns null where the folder is no sweep's @throws RLRF_REPORT_FILE */
export async function readSweep(folder: string): Promise<ReadSweep | null> {
  const path = join(folder, sweepName);
  if (!existsSync(path)) return null;
  const report = await readFitting<SweepReport>(path, "sweep");
  const { name, strategy, metric, axes, trials, best } = report;
  const view: SweepView = {
    ...{ name, strategy, metric, axes },
    trials: trials.map(({ id, rung, values, state, selection, arms, error }) => ({ id, rung, values, state, selection, arms, error })),
    best: best === null ? null : { trials: best.trials },
  };
  const runs = ranked(report).map(({ run }) => runFolder(folder, run, path));
  return { view, runs: runs.filter((run) => existsSync(join(run, "result.json"))).slice(0, wholeTrials) };
}

/** The best point's first, then the others that are done, by what the sweep chooses by. */
function ranked({ trials, best }: SweepReport): SweepReport["trials"] {
  const done = trials.filter(({ state }) => state === "done");
  const chosen = (id: string) => Number(best?.trials.includes(id) ?? false);
  const value = ({ selection }: (typeof done)[number]) => selection ?? Number.NEGATIVE_INFINITY;
  return done.sort((a, b) => chosen(b.id) - chosen(a.id) || b.rung - a.rung || (value(a) === value(b) ? 0 : value(b) - value(a)));
}

function runFolder(folder: string, run: string, path: string): string {
  try {
    return insideOf(folder, run);
  } catch {
    throw new RlrfError("RLRF_REPORT_FILE", {
      message: `the run ${JSON.stringify(run)} lies outside of the sweep`,
      where: path,
      expected: "trials/…",
    });
  }
}
