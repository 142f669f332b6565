/** `rlrf compare RUN RUN…`: arms of several runs side by side, paired tests between the runs, and what differs between their specs. */
import { resolve } from "node:path";
import type { RunComparison } from "../compare/compare.js";
import { jsonOption, type Register } from "./command.js";
import { compareText } from "./compare-text.js";
import { print, printJson } from "./terminal.js";

interface CompareOptions {
  readonly runs: string;
  readonly metrics?: string;
  readonly json?: boolean;
}

export const register: Register = (program) => {
  const command = program
    .command("compare")
    .description("show the arms of several runs side by side, with paired tests between the runs")
    .argument("<run...>", "names of runs, or their folders; each is tested against those before it")
    .option("--runs <folder>", "where runs are kept", "runs")
    .option("--metrics <list>", "metrics such as ndcg@5,map@5; else those that all runs report");
  jsonOption(command).action(compare);
};

async function compare(names: readonly string[], { runs: root, metrics, json = false }: CompareOptions): Promise<void> {
  const { RlrfError } = await import("../errors.js");
  const { findRuns } = await import("../track/runs.js");
  const folders = (await findRuns(root, names, "scores")).map((folder) => resolve(folder));
  if (new Set(folders).size < folders.length || folders.length < 2)
    throw new RlrfError("RLRF_USAGE", {
      message: `${folders.length < 2 ? "one run" : "a run twice"}: there is nothing to compare`,
      expected: "two different runs or more",
    });
  const { compareRuns } = await import("../compare/compare.js");
  const { readRun } = await import("../compare/read-run.js");
  const runs = [];
  for (const folder of folders) runs.push(await readRun(folder));
  const comparison: RunComparison = compareRuns(
    runs,
    metrics?.split(",").map((metric) => metric.trim()),
  );
  if (json) printJson(comparison);
  else print(compareText(comparison));
}
