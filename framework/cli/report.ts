/** `rlrf report RUN [RUN…]`: one HTML file that shows everything a run left, several runs side by side, or a sweep. */
import { join, resolve } from "node:path";
import { jsonOption, type Register } from "./command.js";
import { print, printJson } from "./terminal.js";

interface ReportOptions {
  readonly runs: string;
  readonly out?: string;
  readonly json?: boolean;
}

export const register: Register = (program) => {
  const command = program
    .command("report")
    .description("write one self-contained HTML file about a run, several side by side, or a sweep")
    .argument("<run...>", "names of runs or of a sweep, or their folders")
    .option("--runs <folder>", "where runs are kept", "runs")
    .option("--out <file>", "the file; else report.html, in the run's folder when it is one run");
  jsonOption(command).action(report);
};

async function report(names: readonly string[], { runs: root, out, json = false }: ReportOptions): Promise<void> {
  const { mustBeFree } = await import("./out.js");
  const { findRuns } = await import("../track/runs.js");
  const { sweepName } = await import("../sweep/report.js");
  const { reportName, writeReport } = await import("../report/write.js");
  const folders = [...new Set((await findRuns(root, names, "result.json", sweepName)).map((folder) => resolve(folder)))];
  for (const folder of folders) await mustHaveEnded(folder);
  const file = resolve(out ?? (folders.length === 1 ? join(folders[0] as string, reportName) : reportName));
  await mustBeFree(file, "report");
  const { bytes, users, runs } = await writeReport(folders, file);
  if (json) return printJson({ file, bytes, runs, users });
  const number = (count: number, what: string) => `${count.toLocaleString("en-US")} ${what}${count === 1 ? "" : "s"}`;
  print(`${file}: ${number(runs.length, "run")}, ${number(users, "user")}, ${(bytes / 1e6).toFixed(1)} MB`);
}

/** A sweep of which no trial is done has nothing to show. @throws RLRF_RUN_UNENDED */
async function mustHaveEnded(folder: string): Promise<void> {
  const { isSweep, trialFolders } = await import("../sweep/read-report.js");
  if (!isSweep(folder) || (await trialFolders(folder, "result.json")).length > 0) return;
  const { RlrfError } = await import("../errors.js");
  throw new RlrfError("RLRF_RUN_UNENDED", {
    message: "no trial of the sweep is done",
    where: folder,
    expected: "one that has ended with a result.json",
    hint: "`rlrf runs --trials` says how they stand",
  });
}
