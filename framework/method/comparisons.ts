/** Paired tests between arms, or between policies, on the same users. */
import { type CorrectedTest, pairedTests } from "../metrics/statistics.js";
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
  const valuesOf = (arm: string) => values.get(arm) as Float64Array;
  const tests = pairedTests(
    pairs.map(({ arm, against }) => [valuesOf(arm), valuesOf(against)] as const),
    { seed },
  );
  return pairs.map((pair, i) => {
    const { difference, p, pHolm } = tests[i] as CorrectedTest; // one a pair
    return { ...pair, metric, difference, p, pHolm };
  });
}
