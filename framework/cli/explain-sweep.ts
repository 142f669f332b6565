/** `rlrf explain` of a spec with a sweep: its trials, by what they are chosen, and what they take together. */
import type { Registry } from "../kernel/registry.js";
import { sweepCost } from "../plan/sweep-cost.js";
import type { Spec } from "../spec/types.js";
import { type Sweep, valueText } from "../sweep/expand.js";
import { selectionText } from "../sweep/selection.js";
import { print, printJson, table } from "./terminal.js";

/** @param usersOf of the data set of a spec, where that is known */
export function explainSweep(sweep: Sweep, registry: Registry, usersOf: (spec: Spec) => number | undefined, json: boolean): void {
  const cost = sweepCost(sweep, registry, usersOf);
  const { name, hash, settings, metric, rungs, trials } = sweep;
  if (json) {
    const shown = trials.map(({ resolved, source: _, ...trial }) => ({ ...trial, hash: resolved.hash, spec: resolved.spec }));
    printJson({ name, hash, sweep: settings, metric, rungs, trials: shown, cost });
    return;
  }
  print(trialsTable(sweep));
  print(`\nsweep hash  ${hash}`);
  print(
    `strategy    ${settings.strategy}${rungs.length > 1 ? `: ${rungs.map(({ budget, points }) => `${points} with ${budget}`).join(", ")} of ${settings.budget?.pointer}` : ""}`,
  );
  print(`chosen by   ${metric === null ? "nothing: a table alone" : selectionText(metric)}`);
  print(`at once     ${settings.maxConcurrent}`);
  print(`\n${costText(cost)}`);
}

function trialsTable({ trials, rungs }: Sweep): string {
  const pointers = [...new Set(trials.flatMap(({ values, seeds }) => Object.keys({ ...values, ...seeds })))];
  const budgeted = rungs.length > 1;
  const head = ["trial", ...pointers, ...(budgeted ? ["budget"] : []), "spec hash"];
  const rows = trials.map(({ id, values, seeds, budget, resolved }) => [
    id,
    ...pointers.map((pointer) => valueText({ ...values, ...seeds }[pointer] ?? null)),
    ...(budgeted ? [String(budget)] : []),
    resolved.hash.slice(0, 12),
  ]);
  return table([head, ...rows]);
}

function costText({ trials, fits, texts, shared, promptTokens, completionTokens, pairs, unknown }: ReturnType<typeof sweepCost>): string {
  const thousands = (count: number) => count.toLocaleString("en-US");
  const lines = [`in all      ${thousands(trials)} runs, which fit ${thousands(fits)} recommenders and reward models`];
  if (texts > 0)
    lines.push(
      `${thousands(texts)} texts, of which ${thousands(shared)} are the same untuned policy's and written once`,
      `about ${thousands(promptTokens)} prompt tokens and at most ${thousands(completionTokens)} completion tokens; at most ${thousands(pairs)} pairs`,
    );
  if (unknown > 0)
    lines.push(`the texts of ${thousands(unknown)} runs are not counted: how many users there are is not known before the data are read`);
  lines.push("at most: a step that trials share is computed once, and what is in the store already is not computed at all");
  return lines.join("\n            ");
}
