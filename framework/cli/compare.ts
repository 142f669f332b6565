/** `rlrf compare RUN RUN…`: arms of several runs, or of a sweep's trials, side by side, paired tests between them, and what differs between their specs. */
import type { RunComparison } from "../compare/compare.js";
import type { SourceOptions } from "../compare/open.js";
import type { ComparedRun } from "../compare/read-run.js";
import { jsonOption, type Register, sourceOptions } from "./command.js";
import { compareText } from "./compare-text.js";
import { createLogger, print, printJson } from "./terminal.js";

interface CompareOptions extends SourceOptions {
  readonly metrics?: string;
  readonly arms?: string;
  readonly json?: boolean;
}

export const register: Register = (program) => {
  const command = program
    .command("compare")
    .description("show the arms of several runs, or of a sweep's trials, side by side, with paired tests between them")
    .argument("<run...>", "names of runs, or their folders; each is tested against those before it; a sweep stands for its trials")
    .option("--metrics <list>", "metrics such as ndcg@5,map@5; else those that all runs report, or of a sweep the first of them")
    .option("--arms <list>", "arms such as metadata,llm-1; else all");
  jsonOption(sourceOptions(command)).action(compare);
};

async function compare(names: readonly string[], { metrics, arms, json = false, ...options }: CompareOptions): Promise<void> {
  const { compareRuns, sharedMetrics } = await import("../compare/compare.js");
  const { runs, sweep } = await readRuns(names, options);
  const wanted = listOf(arms);
  if (wanted !== undefined) await mustHaveArms(runs, wanted);
  const comparison: RunComparison = compareRuns(
    runs.map((run) => onlyArms(run, wanted)),
    listOf(metrics) ?? (sweep ? sharedMetrics(runs).slice(0, 1) : undefined),
  );
  if (json) printJson(comparison);
  else print(compareText(comparison));
}

/** @returns `sweep`: there are trials among them */
async function readRuns(
  names: readonly string[],
  options: SourceOptions,
): Promise<{ readonly runs: readonly ComparedRun[]; readonly sweep: boolean }> {
  const { RlrfError } = await import("../errors.js");
  const { readRun } = await import("../compare/read-run.js");
  const { openRuns } = await import("../compare/open.js");
  const { chosenRuns, withTrials } = await import("../compare/listed-run.js");
  const source = await openRuns(options, createLogger());
  try {
    const all = await source.list(names);
    const named = chosenRuns(all, names, source.place);
    const compared = withTrials(named, all).filter((run) => run.kind !== "trial" || run.state === "done" || named.includes(run));
    if (new Set(named).size < named.length || compared.length < 2)
      throw new RlrfError("RLRF_USAGE", {
        message: `${compared.length < 2 ? "one run" : "a run twice"}: there is nothing to compare`,
        expected: "two different runs or more, or a sweep of which two trials are done",
      });
    const runs: ComparedRun[] = [];
    for (const run of compared) runs.push({ ...(await readRun(await source.folder(run))), name: run.id });
    return { runs, sweep: compared.some(({ kind }) => kind === "trial") };
  } finally {
    await source.close();
  }
}

function listOf(text: string | undefined): string[] | undefined {
  return text?.split(",").map((entry) => entry.trim());
}

async function mustHaveArms(runs: readonly ComparedRun[], wanted: readonly string[]): Promise<void> {
  const there = [...new Set(runs.flatMap((run) => [...run.arms.keys()]))];
  const missing = wanted.filter((arm) => !there.includes(arm));
  if (missing.length === 0) return;
  const { RlrfError } = await import("../errors.js");
  throw new RlrfError("RLRF_USAGE", {
    message: `none of the runs has an arm ${missing.map((arm) => JSON.stringify(arm)).join(" or ")}`,
    where: "--arms",
    expected: `some of ${there.join(", ")}, with commas between them`,
  });
}

function onlyArms(run: ComparedRun, arms: readonly string[] | undefined): ComparedRun {
  return arms === undefined ? run : { ...run, arms: new Map([...run.arms].filter(([arm]) => arms.includes(arm))) };
}
