/** A sweep's table, for people. */
import { valueText } from "../sweep/expand.js";
import type { SweepReport, TrialRow } from "../sweep/report.js";
import { lastTold, parseSelection, selectionText } from "../sweep/selection.js";
import { number } from "./result-text.js";
import { onOutput, table } from "./terminal.js";

export function sweepText(report: SweepReport, folder: string): string {
  const { metric, best, trials, points } = report;
  const equals = points.filter(({ rung, selection }) => best !== null && rung === best.rung && selection === best.selection);
  const failed = trials.filter(({ error }) => error !== null);
  return [
    trialsTable(report),
    ...(failed.length === 0
      ? []
      : ["", table([["failed", "error", ""], ...failed.map(({ id, error }) => [id, error?.code ?? "", firstLine(error?.message)])])]),
    "",
    metric === null
      ? "no trial is chosen: the sweep names no metric"
      : best === null
        ? `no trial is chosen: none has the ${selectionText(parseSelection(metric))}`
        : equals.length > 1
          ? `tied ${equals.map((row) => row.trials.join(", ")).join("; ")}: ${number(best.selection)} ${selectionText(parseSelection(metric))}; ${best.trials.join(", ")} stands first among equals`
          : `best ${onOutput.bold(best.trials.join(", "))}: ${number(best.selection)} ${selectionText(parseSelection(metric))}; test users are reported and choose nothing`,
    `\n${folder}/sweep.json`,
  ].join("\n");
}

/** One column an axis and seed; then what it is chosen by, and the first test metric of the last arm. */
export function trialsTable({ trials, best }: SweepReport): string {
  const columns = [...new Set(trials.flatMap(({ values, seeds }) => Object.keys({ ...values, ...seeds })))];
  const budgeted = trials.some(({ budget }) => budget !== null);
  const shown = trials.filter(({ state }) => state !== "left out");
  const head = ["trial", ...(budgeted ? ["budget"] : []), ...columns.map(short), "state", "chosen by", "test", ""];
  const rows = shown.map((row) => [
    row.id,
    ...(budgeted ? [String(row.budget ?? "-")] : []),
    ...columns.map((pointer) => valueText({ ...row.values, ...row.seeds }[pointer] ?? null)),
    row.state,
    number(row.selection ?? undefined),
    testText(row),
    best?.trials.includes(row.id) === true ? "best" : "",
  ]);
  return table([head, ...rows]);
}

/** "ndcg@5 of llm-1 0.7612" */
function testText({ arms }: TrialRow): string {
  const arm = lastTold(arms);
  const [metric, interval] = Object.entries(arms[arm] ?? {})[0] ?? [];
  return metric === undefined || interval === undefined ? "-" : `${metric} of ${arm} ${number(interval.mean)}`;
}

/** The last two steps of a pointer tell values apart. */
function short(pointer: string): string {
  return pointer
    .split("/")
    .slice(-2)
    .filter((key) => key !== "" && key !== "options")
    .join(".");
}

function firstLine(text = ""): string {
  return text.split("\n")[0] ?? "";
}
