/** The clusters that dynamic-po finds its boundary by. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { likeliestCluster } from "../../../plugins/losses/dynamic-po/clusters.js";

function spread(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
}

/** Least cost of dividing sorted values into runs, every division tried. @param size of the first run; absent: any */
function leastCost(sorted: readonly number[], runs: number, size?: number): number {
  if (runs === 1) return size === undefined || size === sorted.length ? spread(sorted) : Number.POSITIVE_INFINITY;
  const sizes = size === undefined ? Array.from({ length: sorted.length - runs + 1 }, (_, i) => i + 1) : [size];
  return Math.min(...sizes.map((first) => spread(sorted.slice(0, first)) + leastCost(sorted.slice(first), runs - 1)));
}

describe("dynamic-po's clusters", () => {
  it("are the best ones: the likeliest of three by hand", () => {
    assert.deepEqual(likeliestCluster([-11, -20, -30, -11.5, -31], 3), [true, false, false, true, false]);
    assert.deepEqual(likeliestCluster([-3, -1, -2], 2), [false, true, false], "the smaller one of two that are as good");
    assert.deepEqual(likeliestCluster([-1, -1, -5], 5), [true, true, false], "equal values stay together");
    assert.deepEqual(likeliestCluster([-7], 3), [true]);
  });

  it("cost as little as any division that is tried", () => {
    const value = fc.oneof(fc.integer({ min: -40, max: 0 }), fc.double({ min: -40, max: 0, noNaN: true })).map((x) => Math.fround(x) + 0); // no -0
    fc.assert(
      fc.property(fc.uniqueArray(value, { minLength: 1, maxLength: 9 }), fc.integer({ min: 2, max: 5 }), (values, clusters) => {
        const sorted = [...values].sort((a, b) => b - a);
        const runs = Math.min(clusters, sorted.length);
        const size = likeliestCluster(values, clusters).filter(Boolean).length;
        const least = leastCost(sorted, runs);
        assert.ok(leastCost(sorted, runs, size) <= least + 1e-9 * (1 + least), `${values} in ${clusters}: ${size}`);
      }),
    );
  });

  it("are found among many values at once", () => {
    const values = Array.from({ length: 400 }, (_, i) => -((i * 7919) % 4001) / 10);
    const begun = performance.now();
    assert.ok(likeliestCluster(values, 8).includes(true));
    assert.ok(performance.now() - begun < 2000, "400² · 8 steps, not as many as there are divisions");
  });
});
