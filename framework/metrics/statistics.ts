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
export function bootstrapInterval(values: ArrayLike<number>, options: BootstrapOptions): Interval {
  return bootstrapIntervals([Float64Array.from(values)], options)[0] as Interval;
}

/** The same of several columns, as if each were alone: columns of the same users share the resamples, which cost more than their means. */
export function bootstrapIntervals(columns: readonly Float64Array[], options: BootstrapOptions): Interval[] {
  const intervals: Interval[] = [];
  for (const places of ofSameUsers(columns)) {
    const means = bootstrapMeans(places.map((place) => columns[place] as Float64Array), options); // biome-ignore format: one line
    for (const [i, place] of places.entries())
      intervals[place] = intervalOf(mean(columns[place] as Float64Array), means[i] as Float64Array, options.level);
  }
  return intervals;
}

/** Columns that have values for the same users, together. @returns their places among the columns */
function ofSameUsers(columns: readonly Float64Array[]): readonly number[][] {
  const groups = new Map<string, number[]>();
  for (const [place, column] of columns.entries()) {
    const missing = Array.from(column.keys()).filter((user) => Number.isNaN(column[user]));
    const key = `${column.length}: ${missing.join()}`;
    groups.set(key, [...(groups.get(key) ?? []), place]);
  }
  return [...groups.values()];
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

type Pair = readonly [ArrayLike<number>, ArrayLike<number>];

/**
 * Fisher's randomisation test on paired values: under the null hypothesis each user's difference might as well have the other sign.
 * p = (1 + permutations at least as far from 0) / (1 + permutations), so that it is never 0 (Phipson & Smyth 2010).
 * @param pairs one value a user in both. Each is tested as if it were alone: differences of the same users share the signs that are drawn.
 */
export function pairedRandomisationTests(pairs: readonly Pair[], { seed, permutations = 10_000 }: PairedTestOptions): PairedTest[] {
  const all = pairs.map(([a, b]) => Float64Array.from(a, (value, user) => value - (b[user] as number)));
  const tests: PairedTest[] = [];
  for (const places of ofSameUsers(all)) {
    const present = places.map((place) => (all[place] as Float64Array).filter((difference) => !Number.isNaN(difference)));
    const asFar = countAsFar(present, permutations, seed);
    for (const [i, place] of places.entries()) {
      const differences = present[i] as Float64Array;
      const p = (1 + (asFar[i] as number)) / (1 + permutations);
      tests[place] = { difference: sumOf(differences) / differences.length, p, users: differences.length };
    }
  }
  return tests;
}

/** Users whose signs one draw gives: three bytes of its 31 bits. */
const usersADraw = 24;
/** Draws kept at once. */
const mostDraws = 2 ** 22;

/**
 * How many permutations of signs bring each column's sum at least as far from 0 as it is.
 * @param columns differences of the same users
 */
function countAsFar(columns: readonly Float64Array[], permutations: number, seed: number): Int32Array {
  const draws = Math.ceil((columns[0]?.length ?? 0) / usersADraw);
  const atOnce = Math.max(1, Math.min(permutations, Math.floor(mostDraws / Math.max(1, draws))));
  const rng = createRng("randomisation", seed);
  const signs = new Int32Array(draws * atOnce); // [draws, permutations]
  const sums = new Float64Array(atOnce);
  const tables: Tables = [new Float64Array(256), new Float64Array(256), new Float64Array(256)];
  const reached = columns.map(leastOf);
  const asFar = new Int32Array(columns.length);
  for (let from = 0; from < permutations; from += atOnce) {
    const count = Math.min(atOnce, permutations - from);
    for (let permutation = 0; permutation < count; permutation++)
      for (let draw = 0; draw < draws; draw++) signs[draw * atOnce + permutation] = rng.seed();
    for (const [place, differences] of columns.entries()) {
      sums.fill(0);
      for (let draw = 0; draw < draws; draw++)
        addSigned(sums, differences, draw, signs.subarray(draw * atOnce, draw * atOnce + count), tables);
      const least = reached[place] as number;
      for (let permutation = 0; permutation < count; permutation++)
        if (Math.abs(sums[permutation] as number) >= least) asFar[place] = (asFar[place] as number) + 1;
    }
  }
  return asFar;
}

/** What a sum has to reach. Sums that are equal in exact arithmetic must count as equal, whatever the order of their additions rounds to. */
function leastOf(differences: Float64Array): number {
  return Math.abs(sumOf(differences)) - 1e-12 * differences.reduce((sum, difference) => sum + Math.abs(difference), 0);
}

function sumOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0);
}

/** Of a byte of signs each. */
type Tables = readonly [Float64Array, Float64Array, Float64Array];

/** Adds the differences of one draw's users to the sums of all permutations, which then costs three look-ups each. */
function addSigned(sums: Float64Array, differences: Float64Array, draw: number, signs: Int32Array, tables: Tables): void {
  const [first, second, third] = tables;
  for (const [i, table] of tables.entries()) signedSums(table, differences, draw * usersADraw + i * 8);
  for (let permutation = 0; permutation < signs.length; permutation++) {
    const own = signs[permutation] as number;
    const ofDraw = (first[own & 255] as number) + (second[(own >>> 8) & 255] as number) + (third[(own >>> 16) & 255] as number);
    sums[permutation] = (sums[permutation] as number) + ofDraw;
  }
}

/** The sums of 8 users' differences under all 256 choices of their signs; users beyond the last count nothing. */
function signedSums(table: Float64Array, differences: Float64Array, from: number): void {
  const of = (i: number) => differences[from + i] ?? 0;
  table[0] = -(of(0) + of(1) + of(2) + of(3) + of(4) + of(5) + of(6) + of(7));
  for (let i = 0; i < 8; i++) for (let entry = 0; entry < 1 << i; entry++) table[entry | (1 << i)] = (table[entry] as number) + 2 * of(i);
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
export function pairedTests(pairs: readonly Pair[], options: PairedTestOptions): CorrectedTest[] {
  const tests = pairedRandomisationTests(pairs, options);
  const corrected = holm(tests.map(({ p }) => p));
  return tests.map((test, i) => ({ ...test, pHolm: corrected[i] as number }));
}
