/** From run folders to one HTML file. */
import { compareRuns } from "../compare/compare.js";
import { RlrfError } from "../errors.js";
import { writeAtomic } from "../store/files.js";
import { Chunks } from "./chunks.js";
import type { ReportData, SweepView } from "./page/data.js";
import { htmlOf } from "./html.js";
import { type ReadRun, readRunView } from "./run-view.js";

export const reportName = "report.html";

/** Users in the browser of users, of all runs together: some 15 MB. */
const mostUsers = 10_000;

export interface WrittenReport {
  readonly bytes: number;
  readonly users: number;
}

/** A report of runs, or of a sweep with the runs of its best point. @throws RLRF_REPORT_…, RLRF_COMPARE_FILE, RLRF_FILE_… */
export async function writeReport(folders: readonly string[], path: string, sweep: SweepView | null = null): Promise<WrittenReport> {
  const chunks = new Chunks();
  const runs: ReadRun[] = [];
  for (const folder of folders) runs.push(await readRunView(folder, chunks, Math.floor(mostUsers / folders.length)));
  const data: ReportData = { runs: runs.map(({ view }) => view), ...compared(runs), sweep };
  let bytes = 0;
  const counted = function* () {
    for (const part of htmlOf(data, chunks.packed)) {
      bytes += Buffer.byteLength(part);
      yield part;
    }
  };
  await writeAtomic(path, counted());
  return { bytes, users: data.runs.reduce((sum, { users }) => sum + users.count, 0) };
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
