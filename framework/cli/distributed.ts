/** What `rlrf status` and `rlrf cancel` look for: the units of a run in its store. */
import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type UnitRecord, UnitStates } from "../executor/unit-states.js";
import type { Spec } from "../spec/types.js";
import { readJson } from "../store/files.js";
import { storeRoot } from "../store/root.js";
import { Store } from "../store/store.js";
import { readSweep } from "../sweep/read-report.js";
import { sweepName } from "../sweep/report.js";

export interface WhichUnits {
  /** Where runs are kept. */
  readonly runs: string;
  /** The store; that of the run's spec.json, else the default, when left out. */
  readonly cache?: string;
}

/** @param run its name, or its folder. @throws RLRF_RUN_UNKNOWN */
export async function unitsOfRun(run: string, { runs, cache }: WhichUnits): Promise<UnitStates> {
  const spec = fileOfRun("spec.json", run, runs);
  const named = spec === undefined ? {} : await readJson<Partial<Pick<Spec, "store">>>(spec);
  return UnitStates.existing(new Store(storeRoot(named, cache)), basename(run));
}

/** @param run its name, or its folder @returns undefined where it has no such file */
export function fileOfRun(file: string, run: string, runs: string): string | undefined {
  return [join(runs, run, file), join(run, file)].find(existsSync);
}

/** Whether the same command would find nothing left to do. @param units of the run @throws RLRF_SWEEP_FILE, RLRF_JSON */
export async function isDone(run: string, runs: string, units: readonly UnitRecord[]): Promise<boolean> {
  const sweep = fileOfRun(sweepName, run, runs);
  if (sweep === undefined) return fileOfRun("result.json", run, runs) !== undefined;
  return units.every(({ state }) => state === "done") && (await readSweep(dirname(sweep))).ended;
}
