/** A comparison of runs, for people. */
import type { RunComparison } from "../compare/compare.js";
import { number, probability, signed } from "./result-text.js";
import { plain, table } from "./terminal.js";

export function compareText(comparison: RunComparison): string {
  const { runs, users, metrics } = comparison;
  const legend = runs.map(({ name, seeds, usersLeftOut }, run) => [
    letter(run),
    plain(name),
    `seeds ${seeds.join(", ")}`,
    usersLeftOut === 0 ? "" : `${usersLeftOut} users of its own left out`,
  ]);
  return [
    table(legend),
    `${users} users tested by all, on the same lists`,
    ...metrics.flatMap((metric) => ["", armsTable(comparison, metric), ...testsTable(comparison, metric)]),
    "",
    ...differencesTable(comparison),
  ].join("\n");
}

/** A, B, … Z, R27, … */
function letter(run: number): string {
  return run < 26 ? String.fromCharCode(65 + run) : `R${run + 1}`;
}

function armsTable({ runs, arms }: RunComparison, metric: string): string {
  const head = [`${metric} [95%]`, ...runs.map((_, run) => letter(run))];
  const rows = Object.entries(arms[metric] ?? {}).map(([arm, byRun]) => [
    arm,
    ...byRun.map((own) => (own === null ? "-" : `${number(own.mean)} [${number(own.low)}, ${number(own.high)}]`)),
  ]);
  return table([head, ...rows]);
}

function testsTable({ tests }: RunComparison, of: string): string[] {
  const rows = tests
    .filter(({ metric }) => metric === of)
    .map(({ arm, run, against, difference, p, pHolm }) => [
      arm,
      `${letter(run)} - ${letter(against)}`,
      signed(difference),
      probability(p),
      probability(pHolm),
    ]);
  return rows.length === 0 ? [] : ["", table([["arm", "runs", of, "p", "p (Holm)"], ...rows], [2, 3, 4])];
}

function differencesTable({ runs, differences }: RunComparison): string[] {
  if (differences.length === 0) return ["the specs do not differ"];
  const head = ["spec", ...runs.map((_, run) => letter(run))];
  return [table([head, ...differences.map(({ pointer, values }) => [plain(pointer), ...values.map(shown)])])];
}

function shown(value: unknown): string {
  const text = plain(JSON.stringify(value) ?? "-");
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}
