/** A discrete-event simulation of a run: parts of uneven length, taken by whichever worker is free first; a round waits for its last part. */
import type { Rates, Work } from "../../../framework/plan/rates.js";
import type { StepWork } from "../../../framework/plan/work.js";
import { createRng } from "../../../framework/rng.js";

/** @returns seconds from the first part's beginning to the last one's end */
export function simulate(work: readonly StepWork[], { rates, startup }: Rates, workers: number, seed: number): number {
  const rng = createRng("simulation", seed);
  let now = 0;
  for (const { step, work: amounts, parts, rounds, needsModel, loads } of work) {
    const loading = loads ? startup.languageModel : 0;
    const seconds = Object.entries(amounts).reduce(
      (sum, [name, amount]) => sum + amount / (rates[name as Work]?.perSecond ?? Infinity),
      loading,
    );
    const begin = Math.min(parts, workers) === 1 ? 0 : startup.process + (needsModel ? startup.again : 0);
    for (let round = 0; round < rounds; round++) {
      // Lengths vary by a fifth, as prompts and machines do, about the same mean.
      const lengths = Array.from({ length: parts }, (_, part) => Math.max(0.2, 1 + 0.2 * rng.derive(step, round, part).normal()));
      const mean = lengths.reduce((a, b) => a + b, 0) / parts;
      const free = new Float64Array(workers).fill(now);
      for (const length of lengths) {
        const first = free.indexOf(Math.min(...free));
        free[first] = (free[first] as number) + begin + (seconds / (parts * rounds)) * (length / mean);
      }
      now = Math.max(...free);
    }
  }
  return now;
}
