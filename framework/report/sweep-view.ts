/** A sweep as its report shows it, and which of its trials are shown whole. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { isSweep, readSweep } from "../sweep/read-report.js";
import type { SweepReport } from "../sweep/report.js";
import type { SweepView } from "./page/data.js";

/** The best trials of a sweep that are shown whole, and stand side by side. */
const wholeTrials = 4;

export interface ReadSweep {
  readonly view: SweepView;
  /** Folders of runs, the best first. */
  readonly runs: readonly string[];
}

/** @returns null where the folder is no sweep's @throws RLRF_SWEEP_FILE, RLRF_JSON */
export async function readSweepView(folder: string): Promise<ReadSweep | null> {
  if (!isSweep(folder)) return null;
  const report = await readSweep(folder);
  const { name, strategy, metric, axes, trials, best } = report;
  const view: SweepView = {
    ...{ name, strategy, metric, axes },
    trials: trials.map(({ id, rung, values, state, selection, arms, error }) => ({ id, rung, values, state, selection, arms, error })),
    best: best === null ? null : { trials: best.trials },
  };
  const runs = ranked(report).map(({ run }) => join(folder, run));
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
