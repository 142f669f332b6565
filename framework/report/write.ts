/** From run folders to one HTML file. */
import { compareRuns } from "../compare/compare.js";
import { RlrfError } from "../errors.js";
import { writeAtomic } from "../store/files.js";
import { Chunks } from "./chunks.js";
import type { ReportData } from "./page/data.js";
import { htmlOf } from "./html.js";
import { type ReadRun, readRunView } from "./run-view.js";
import { type ReadSweep, readSweepView } from "./sweep-view.js";

export const reportName = "report.html";

/** Users in the browser of users, of all runs together: some 15 MB. */
const mostUsers = 10_000;

export interface WrittenReport {
  readonly bytes: number;
  readonly users: number;
  /** Shown whole: of a sweep its best trials. */
  readonly runs: readonly string[];
}

/**
 * A report of runs; or of one sweep, with its best trials.
 * @throws RLRF_USAGE when a sweep does not stand alone; RLRF_REPORT_…, RLRF_SWEEP_FILE, RLRF_RESULT_FILE, RLRF_COMPARE_FILE, RLRF_FILE_…
 */
export async function writeReport(folders: readonly string[], path: string): Promise<WrittenReport> {
  const sweeps: ReadSweep[] = [];
  for (const folder of folders) sweeps.push(...[await readSweepView(folder)].filter((sweep) => sweep !== null));
  const [sweep] = sweeps;
  if (sweep !== undefined && folders.length > 1)
    throw new RlrfError("RLRF_USAGE", {
      message: "a sweep and other runs do not go into one report",
      expected: "runs alone, or one sweep",
    });
  const chunks = new Chunks();
  const runs: ReadRun[] = [];
  const shown = sweep?.runs ?? folders;
  for (const folder of shown) runs.push(await readRunView(folder, chunks, Math.floor(mostUsers / shown.length)));
  const data: ReportData = { runs: runs.map(({ view }) => view), ...compared(runs), sweep: sweep?.view ?? null };
  let bytes = 0;
  const counted = function* () {
    for (const part of htmlOf(data, chunks.packed)) {
      bytes += Buffer.byteLength(part);
      yield part;
    }
  };
  await writeAtomic(path, counted());
  return { bytes, users: data.runs.reduce((sum, { users }) => sum + users.count, 0), runs: shown };
}

/** Runs that did not score the same lists stand side by side without tests. */
function compared(runs: readonly ReadRun[]): Pick<ReportData, "comparison" | "notCompared"> {
  if (runs.length < 2) return { comparison: null, notCompared: null };
  try {
    return { comparison: compareRuns(runs.map(({ scored }) => scored)), notCompared: null };
  } catch (error) {
    if (!(error instanceof RlrfError) || error.code !== "RLRF_COMPARE_LISTS") throw error;
    return { comparison: null, notCompared: error.fault.message };
  }
}
