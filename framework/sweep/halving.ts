/**
 * Successive halving (Jamieson & Talwalkar 2016, arXiv 1502.07943): all points with a small budget, the best 1 / factor of them with factor times
 * as much, until the budget is spent. Each rung runs anew with its budget; what it has in common with the one before is found in the store.
 */
import type { SweepSettings } from "../spec/sweep.js";
import type { PlainFault } from "../spec/validate.js";

export interface Rung {
  readonly budget: number | null;
  /** That are tried, at most: failed ones do not go on. */
  readonly points: number;
}

/** A point with its metric; null where a trial of it failed. */
export interface Standing {
  readonly point: number;
  readonly selection: number | null;
}

/** One rung without a budget where the strategy is another one. */
export function rungsOf({ strategy, budget }: SweepSettings, points: number): Rung[] {
  if (strategy !== "halving" || budget === undefined) return [{ budget: null, points }];
  const { from, to, factor } = budget;
  const whole = Number.isInteger(from) && Number.isInteger(to);
  const rungs: Rung[] = [];
  let left = points;
  for (let spent = from; spent <= to * (1 + 1e-9); spent *= factor) {
    const rounded = whole ? Math.round(spent) : Number(spent.toPrecision(6));
    if (rounded === rungs.at(-1)?.budget) continue; // no rung of its own, so nothing is left behind
    rungs.push({ budget: rounded, points: left });
    left = kept(left, factor);
  }
  return rungs;
}

/** The points that go on, the best first; of equals the earlier one. */
export function survivors(standings: readonly Standing[], factor: number): number[] {
  return ranked(standings).slice(0, kept(standings.length, factor));
}

/** Points that have a value, the best first; of equals the earlier one. */
export function ranked(standings: readonly Standing[]): number[] {
  const valued = standings.flatMap(({ point, selection }) => (selection === null ? [] : [{ point, selection }]));
  return valued.sort((a, b) => b.selection - a.selection || a.point - b.point).map(({ point }) => point);
}

function kept(points: number, factor: number): number {
  return Math.max(1, Math.floor(points / factor + 1e-9));
}

export function budgetFaults({ strategy, budget, trials, metric }: SweepSettings): PlainFault[] {
  const rules: readonly [broken: boolean, pointer: string, message: string, expected: string][] = [
    [strategy === "random" && trials === undefined, "/sweep/trials", "random draws points, and nothing says how many", '"trials"'],
    [
      strategy === "grid" && trials !== undefined,
      "/sweep/trials",
      "a grid tries every combination",
      'no "trials", or strategy random or halving',
    ],
    [strategy === "halving" && budget === undefined, "/sweep/budget", "halving needs a value that stands for the effort", '"budget"'],
    [
      strategy !== "halving" && budget !== undefined,
      "/sweep/budget",
      `a budget has no effect with ${strategy}`,
      "strategy halving, or no budget",
    ],
    [
      strategy === "halving" && metric === null,
      "/sweep/metric",
      "halving needs a metric to choose by",
      "reward, or a metric on valid users",
    ],
    [budget !== undefined && budget.from > budget.to, "/sweep/budget/to", "the budget would fall", "`to` not below `from`"],
  ];
  return rules
    .filter(([broken]) => broken)
    .map(([, pointer, message, expected]) => ({ code: "RLRF_SPEC_CONFLICT", pointer, message, expected }));
}
