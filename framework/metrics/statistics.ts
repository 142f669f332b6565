/** How sure a figure is: intervals and paired tests over users, corrected for many comparisons. Users whose value is NaN are left out. */
import { createRng } from "../rng.js";
import { mean } from "./aggregate.js";

export interface Interval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}
export interface BootstrapOptions {
  readonly seed: number;
  /** Default 2,000. */
  readonly resamples?: number;
  /** Default 0.95. */
  readonly level?: number;
}

/** Percentile bootstrap over users (Efron 1979). @param values one a user */
export function bootstrapInterval(values: ArrayLike<number>, { seed, resamples = 2000, level = 0.95 }: BootstrapOptions): Interval {
  const [means = new Float64Array()] = bootstrapMeans([Float64Array.from(values)], { seed, resamples });
  return intervalOf(mean(values), means, level);
}

/**
 * The means of several columns under the same resamples of users, so that a difference of two columns has an interval without further draws.
 * @param columns one value a user each, [users]; a user without a value in any of them is in none
 * @returns a mean a resample each, [resamples]
 */
export function bootstrapMeans(columns: readonly Float64Array[], { seed, resamples = 2000 }: BootstrapOptions): Float64Array[] {
  const width = columns.length;
  const present = Array.from(columns[0] ?? [], (_, user) => user).filter((user) => columns.every((column) => !Number.isNaN(column[user])));
  const users = present.length;
  const rows = new Float64Array(users * width); // [users, columns]
  for (const [row, user] of present.entries()) for (const [c, column] of columns.entries()) rows[row * width + c] = column[user] as number;
  const rng = createRng("bootstrap", seed);
  const means = columns.map(() => new Float64Array(resamples));
  const sums = new Float64Array(width);
  for (let sample = 0; sample < resamples; sample++) {
    sums.fill(0);
    for (let i = 0; i < users; i++) {
      const at = Math.floor((rng.seed() * users) / 2 ** 31) * width;
      for (let c = 0; c < width; c++) sums[c] = (sums[c] as number) + (rows[at + c] as number);
    }
    for (const [c, column] of means.entries()) column[sample] = (sums[c] as number) / users;
  }
  return means;
}

/** @param means of resamples, in whatever order */
export function intervalOf(value: number, means: Float64Array, level = 0.95): Interval {
  const sorted = means.slice().sort();
  return { mean: value, low: quantile(sorted, (1 - level) / 2), high: quantile(sorted, (1 + level) / 2) };
}

/** Linear between order statistics (Hyndman & Fan 1996, type 7). */
function quantile(sorted: Float64Array, share: number): number {
  const position = share * (sorted.length - 1);
  const below = Math.floor(position);
  const low = sorted[below] as number;
  const high = sorted[Math.min(below + 1, sorted.length - 1)] as number;
  return low + (position - below) * (high - low);
}

export interface PairedTest {
  /** Mean over users of a - b. */
  readonly difference: number;
  /** Two-sided; at least 1 / (permutations + 1). */
  readonly p: number;
  /** Users that have both values. */
  readonly users: number;
}
export interface PairedTestOptions {
  readonly seed: number;
  /** Default 10,000. */
  readonly permutations?: number;
}

/**
 * Fisher's randomisation test on paired values: under the null hypothesis each user's difference might as well have the other sign.
 * p = (1 + permutations at least as far from 0) / (1 + permutations), so that it is never 0 (Phipson & Smyth 2010).
 * @param a one value a user @param b likewise
 */
export function pairedRandomisationTest(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  { seed, permutations = 10_000 }: PairedTestOptions,
): PairedTest {
  const differences = Float64Array.from(a, (value, user) => value - (b[user] as number)).filter((difference) => !Number.isNaN(difference));
  const observed = differences.reduce((sum, difference) => sum + difference, 0);
  // Sums that are equal in exact arithmetic must count as equal, whatever the order of their additions rounds to.
  const reached = Math.abs(observed) - 1e-12 * differences.reduce((sum, difference) => sum + Math.abs(difference), 0);
  const sums = signedSums(differences);
  const rng = createRng("randomisation", seed);
  let asFar = 0;
  for (let permutation = 0; permutation < permutations; permutation++) {
    let sum = 0;
    for (let block = 0; block < sums.length; block += 3 * 256) {
      const signs = rng.seed(); // 31 bits: three blocks of 8 users
      for (let i = 0; i < 3 && block + i * 256 < sums.length; i++) sum += sums[block + i * 256 + ((signs >>> (i * 8)) & 255)] as number;
    }
    if (Math.abs(sum) >= reached) asFar++;
  }
  return { difference: observed / differences.length, p: (1 + asFar) / (1 + permutations), users: differences.length };
}

/** For each block of 8 users the sums under all 256 choices of their signs: a permutation then costs a look-up a block. [blocks * 256] */
function signedSums(differences: Float64Array): Float64Array {
  const sums = new Float64Array(Math.ceil(differences.length / 8) * 256);
  for (let entry = 0; entry < sums.length; entry++) {
    const block = differences.subarray((entry >> 8) * 8, (entry >> 8) * 8 + 8);
    for (let i = 0; i < block.length; i++) sums[entry] = (sums[entry] as number) + ((entry >> i) & 1 ? 1 : -1) * (block[i] as number);
  }
  return sums;
}

/** Holm's step-down correction (1979). @returns corrected p-values, in the order given */
export function holm(pValues: readonly number[]): number[] {
  const corrected = new Array<number>(pValues.length);
  let largest = 0;
  const order = [...pValues.keys()].sort((a, b) => (pValues[a] as number) - (pValues[b] as number));
  for (const [rank, index] of order.entries()) {
    largest = Math.max(largest, Math.min(1, (pValues.length - rank) * (pValues[index] as number)));
    corrected[index] = largest;
  }
  return corrected;
}

export interface CorrectedTest extends PairedTest {
  /** Corrected over all the pairs that were tested together. */
  readonly pHolm: number;
}

/** Tests pairs of users' values, and corrects for how many there are. */
export function pairedTests(
  pairs: readonly (readonly [ArrayLike<number>, ArrayLike<number>])[],
  options: PairedTestOptions,
): CorrectedTest[] {
  const tests = pairs.map(([a, b]) => pairedRandomisationTest(a, b, options));
  const corrected = holm(tests.map(({ p }) => p));
  return tests.map((test, i) => ({ ...test, pHolm: corrected[i] as number }));
}
