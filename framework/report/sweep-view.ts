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

/** The trials of the best point first, then those of the others as they stand; without a metric, in their order. */
function ranked({ trials, points, best }: SweepReport): SweepReport["trials"] {
  const standing = (id: string) => {
    const [point] = points.filter((row) => row.trials.includes(id)).sort((a, b) => b.rung - a.rung);
    return { chosen: Number(best?.trials.includes(id) ?? false), rung: point?.rung ?? 0, selection: point?.selection ?? -Number.MAX_VALUE };
  };
  const done = trials.filter(({ state }) => state === "done").map((trial) => ({ trial, ...standing(trial.id) }));
  return done.sort((a, b) => b.chosen - a.chosen || b.rung - a.rung || b.selection - a.selection).map(({ trial }) => trial);
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
