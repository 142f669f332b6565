/** Paired tests between arms, or between policies, on the same users. */
import { holm, pairedRandomisationTest } from "../metrics/statistics.js";
import type { Comparison } from "./result.js";

/** What everything is held against, where the run has it. */
const rivals = ["id-only", "item-only", "swapped", "metadata", "llm-0", "llm-warm"];

/** @param values one a user, the same users in the same order for every name; p is Holm-corrected over these comparisons */
export function compared(values: ReadonlyMap<string, Float64Array>, metric: string, seed: number): Comparison[] {
  const order = [...values.keys()];
  // Each pair once: the later against the earlier; `swapped` is what the others are held against.
  const pairs = order.flatMap((arm, i) =>
    rivals
      .filter((against) => arm !== "swapped" && (order.indexOf(against) < i || against === "swapped") && values.has(against))
      .map((against) => ({ arm, against })),
  );
  const results = pairs.map(({ arm, against }) =>
    pairedRandomisationTest(values.get(arm) as Float64Array, values.get(against) as Float64Array, { seed }),
  );
  const corrected = holm(results.map(({ p }) => p));
  return pairs.map((pair, i) => ({
    ...pair,
    metric,
    difference: results[i]?.difference ?? Number.NaN,
    p: results[i]?.p ?? Number.NaN,
    pHolm: corrected[i] ?? Number.NaN,
  }));
}
