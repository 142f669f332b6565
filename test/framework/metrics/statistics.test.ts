import assert from "node:assert/strict";
import fc from "fast-check";
import { groupMeans, mean, seedMeans } from "../../../framework/metrics/aggregate.js";
import {
  bootstrapInterval,
  bootstrapIntervals,
  holm,
  type PairedTest,
  type PairedTestOptions,
  pairedRandomisationTests,
} from "../../../framework/metrics/statistics.js";
import { createRng } from "../../../framework/rng.js";

const normals = (count: number, label: string, shift = 0) => {
  const rng = createRng("test", label);
  return Float64Array.from({ length: count }, () => rng.normal() + shift);
};

const pairedTest = (a: ArrayLike<number>, b: ArrayLike<number>, options: PairedTestOptions) =>
  pairedRandomisationTests([[a, b]], options)[0] as PairedTest; // as many as there are pairs

describe("aggregation", () => {
  it("takes the mean over a user's lists, and leaves out lists without a value", () => {
    const means = groupMeans(Float64Array.of(1, 0, 0.5, Number.NaN, Number.NaN), [0, 0, 1, 1, 2], 4);
    assert.deepEqual([...means], [0.5, 0.5, Number.NaN, Number.NaN]);
    assert.equal(mean(means), 0.5);
  });
  it("weighs users alike, however many lists they have", () => {
    assert.equal(mean(groupMeans([1, 0, 0, 0], [0, 1, 1, 1], 2)), 0.5);
  });
  it("takes the mean over seeds for each user", () => {
    const bySeed = [Float64Array.of(1, 0.25, Number.NaN), Float64Array.of(0, 0.75, Number.NaN)];
    assert.deepEqual([...seedMeans(bySeed)], [0.5, 0.5, Number.NaN]);
    assert.ok(Number.isNaN(mean([])));
  });
});

describe("bootstrapInterval", () => {
  it("is near the normal interval for many users, and is seeded", () => {
    const values = normals(1000, "bootstrap", 3);
    const interval = bootstrapInterval(values, { seed: 1 });
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - interval.mean) ** 2, 0) / values.length);
    const half = (1.96 * deviation) / Math.sqrt(values.length);
    assert.ok(Math.abs(interval.low - (interval.mean - half)) < 0.1 * half);
    assert.ok(Math.abs(interval.high - (interval.mean + half)) < 0.1 * half);
    assert.deepEqual(bootstrapInterval(values, { seed: 1 }), interval);
    assert.notDeepEqual(bootstrapInterval(values, { seed: 2 }), interval);
  });
  it("covers the truth about as often as it says", () => {
    let covered = 0;
    for (let i = 0; i < 200; i++) {
      const { low, high } = bootstrapInterval(normals(60, `coverage ${i}`), { seed: i, resamples: 400 });
      if (low <= 0 && 0 <= high) covered++;
    }
    assert.ok(covered > 180 && covered < 199, `${covered} of 200`);
  });
  it("is exact where it can be: two users give means 0, 1/2 and 1", () => {
    assert.deepEqual(bootstrapInterval([0, 1], { seed: 1 }), { mean: 0.5, low: 0, high: 1 });
    assert.deepEqual(bootstrapInterval([0.25, 0.25, 0.25], { seed: 1 }), { mean: 0.25, low: 0.25, high: 0.25 });
    assert.equal(bootstrapInterval([0, 1], { seed: 1, level: 0.1 }).low, 0.5);
  });
  it("leaves out users without a value, and is NaN without any", () => {
    assert.deepEqual(bootstrapInterval([Number.NaN, 2, Number.NaN], { seed: 1 }), { mean: 2, low: 2, high: 2 });
    assert.deepEqual(bootstrapInterval([], { seed: 1 }), { mean: Number.NaN, low: Number.NaN, high: Number.NaN });
  });
});

describe("pairedRandomisationTests", () => {
  /** Over all 2^n choices of signs. */
  function exact(differences: readonly number[]): number {
    const observed = Math.abs(differences.reduce((sum, difference) => sum + difference, 0));
    const choices = 2 ** differences.length;
    let asFar = 0;
    for (let signs = 0; signs < choices; signs++) {
      const sum = differences.reduce((total, difference, i) => total + (signs & (1 << i) ? difference : -difference), 0);
      if (Math.abs(sum) >= observed - 1e-9) asFar++;
    }
    return asFar / choices;
  }

  it("gives the p-value of the exact enumeration", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -9, max: 12 }), { minLength: 1, maxLength: 12 }), fc.nat(), (tenths, seed) => {
        const differences = tenths.map((tenth) => tenth / 10);
        const { p, difference, users } = pairedTest(differences, new Float64Array(differences.length), {
          seed,
          permutations: 20_000,
        });
        assert.ok(Math.abs(p - exact(differences)) < 0.02, `${p} is not ${exact(differences)} for ${differences}`);
        assert.ok(Math.abs(difference - mean(differences)) < 1e-12);
        assert.equal(users, differences.length);
      }),
      { numRuns: 40, seed: 3 },
    );
  });

  it("counts the observed order among the permutations, so that p is never 0", () => {
    const better = new Float64Array(100).fill(1);
    assert.equal(pairedTest(better, new Float64Array(100), { seed: 1, permutations: 999 }).p, 1 / 1000);
    assert.equal(pairedTest(better, better, { seed: 1 }).p, 1);
  });

  it("is two-sided, seeded, and uses users with both values only", () => {
    const [a, b] = [normals(80, "a", 0.3), normals(80, "b")];
    const forward = pairedTest(a, b, { seed: 5 });
    const backward = pairedTest(b, a, { seed: 5 });
    assert.equal(forward.p, backward.p);
    assert.equal(forward.difference, -backward.difference);
    assert.deepEqual(pairedTest(a, b, { seed: 5 }), forward);
    const withGaps = pairedTest([...a, Number.NaN, 1], [...b, 1, Number.NaN], { seed: 5 });
    assert.deepEqual(withGaps, forward);
  });

  it("rejects a true null hypothesis about as often as it says", () => {
    let rejected = 0;
    for (let i = 0; i < 300; i++)
      if (pairedTest(normals(40, `null ${i}`), normals(40, `null' ${i}`), { seed: i, permutations: 500 }).p <= 0.05) rejected++;
    assert.ok(rejected >= 5 && rejected <= 27, `${rejected} of 300`);
  });
});

describe("many columns at once", () => {
  const columns: Float64Array[] = [0, 1, 2, 3].map((i) => normals(60, `column ${i}`, i / 10));
  columns[1]?.fill(Number.NaN, 7, 12);
  columns[2]?.fill(Number.NaN, 7, 12);
  columns.push(columns[0]?.slice(0, 50) as Float64Array);

  it("have the intervals that each has alone", () =>
    assert.deepEqual(bootstrapIntervals(columns, { seed: 3 }), columns.map((column) => bootstrapInterval(column, { seed: 3 })))); // biome-ignore format: one line
  it("have the p-values that each has alone, however many permutations are drawn at once", () => {
    const pairs = columns.slice(0, 4).map((column) => [column, columns[3] as Float64Array] as const);
    assert.deepEqual(pairedRandomisationTests(pairs, { seed: 3 }), pairs.map(([a, b]) => pairedTest(a, b, { seed: 3 }))); // biome-ignore format: one line
    const many: readonly [Float64Array, Float64Array] = [normals(30_000, "many"), new Float64Array(30_000)]; // 10,000 permutations in four parts
    const [one, two] = pairedRandomisationTests([many, many], { seed: 3 });
    assert.deepEqual(one, two);
    assert.ok(Math.abs((one?.p ?? 0) - 2 * (1 - normalDistribution(zOf(many[0])))) < 0.03);
  });
});

/** Standard deviations by which the mean is away from 0. */
function zOf(values: Float64Array): number {
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length);
  return (Math.abs(mean(values)) * Math.sqrt(values.length)) / deviation;
}

/** Abramowitz & Stegun 1964, 26.2.17. */
function normalDistribution(z: number): number {
  const t = 1 / (1 + 0.2316419 * z);
  const series = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return 1 - (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * series;
}

describe("holm", () => {
  const rounded = (values: readonly number[]) => values.map((value) => Number(value.toFixed(10)));
  it("gives the known numbers", () => {
    // R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
    assert.deepEqual(rounded(holm([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02]);
    // R: p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm")
    assert.deepEqual(rounded(holm([0.01, 0.02, 0.03, 0.04, 0.05])), [0.05, 0.08, 0.09, 0.09, 0.09]);
    assert.deepEqual(holm([0.6, 0.7]), [1, 1]);
    assert.deepEqual(holm([0.2]), [0.2]);
    assert.deepEqual(holm([]), []);
  });
  it("keeps the order, never lowers a p-value, and is at most Bonferroni's", () => {
    const p = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(p, (values) => {
        const corrected = holm(values);
        for (const [i, value] of values.entries()) {
          assert.ok((corrected[i] as number) >= value && (corrected[i] as number) <= Math.min(1, value * values.length) + 1e-15);
          for (const [j, other] of values.entries()) if (value < other) assert.ok((corrected[i] as number) <= (corrected[j] as number));
        }
      }),
    );
  });
});
