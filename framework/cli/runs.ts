/** `rlrf runs`: what was run, here or on an MLflow server. */
import type { ListedRun } from "../compare/listed-run.js";
import { jsonOption, type Register, sourceOptions } from "./command.js";
import { number } from "./result-text.js";
import { createLogger, plain, print, printJson, table } from "./terminal.js";

interface RunsOptions {
  readonly runs: string;
  readonly from?: string;
  readonly experiment?: string;
  readonly trials?: boolean;
  readonly json?: boolean;
}

export const register: Register = (program) => {
  const command = program
    .command("runs")
    .description("list runs and sweeps, here or on an MLflow server: state, when, spec, and the first metric on test users")
    .option("--trials", "the trials of sweeps as well");
  jsonOption(sourceOptions(command)).action(list);
};

async function list({ trials = false, json = false, ...options }: RunsOptions): Promise<void> {
  const { openRuns } = await import("../compare/open.js");
  const { testFigure } = await import("../compare/listed-run.js");
  const source = await openRuns(options, createLogger());
  try {
    const all = await source.list();
    const shown = all.filter(({ kind }) => trials || kind !== "trial");
    if (json) return printJson(shown.map((run) => ({ ...run, test: testFigure(run) })));
    if (shown.length === 0) return print(`no runs in ${source.place}`);
    const rows = shown.map((run) => [
      plain(run.id),
      plain(run.name),
      run.specHash?.slice(0, 12) ?? "-",
      run.kind,
      run.state,
      run.begun.slice(0, 16).replace("T", " "),
      figureText(run, all, testFigure(run)),
    ]);
    print(table([["run", "spec", "hash", "kind", "state", "begun (UTC)", "test users"], ...rows]));
  } finally {
    await source.close();
  }
}

function figureText(
  run: ListedRun,
  all: readonly ListedRun[],
  test: { readonly arm: string; readonly metric: string; readonly value: number } | null,
): string {
  if (run.state === "broken") return "its table cannot be read; `rlrf report` says why";
  if (run.kind === "sweep") {
    const trials = all.filter(({ id, kind }) => kind === "trial" && id.startsWith(`${run.id}/`));
    return `${trials.filter(({ state }) => state === "done").length} of ${trials.length} begun trials done`;
  }
  return test === null ? "-" : `${test.metric} of ${test.arm} ${number(test.value)}`;
}
