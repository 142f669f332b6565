/** The best clusters of numbers, found exactly. */

/** Which values are in the cluster of the largest, when they are divided into so many with the least squared distance to their means. */
export function likeliestCluster(values: readonly number[], clusters: number): boolean[] {
  const sorted = [...values].sort((a, b) => b - a);
  const least = sorted[firstRun(sorted, Math.min(clusters, sorted.length)) - 1] as number;
  return values.map((value) => value >= least);
}

/**
 * Size of the first run in the best division of sorted values into so many runs, the smallest of several: in one dimension the best clusters
 * are runs (Fisher 1958, On grouping for maximum homogeneity), and what follows a run is divided best whatever stands before it. In time
 * O(values² · runs).
 */
function firstRun(sorted: readonly number[], runs: number): number {
  const count = sorted.length;
  let first = count;
  /** Cost of the values from each place on, divided best into as many runs as have been gone through. */
  let costs = Array.from({ length: count + 1 }, (_, from) => (from === count ? 0 : Number.POSITIVE_INFINITY));
  for (let run = 1; run <= runs; run++) {
    const rest = costs;
    costs = rest.map((_, from) => {
      let [best, mean, spread] = [Number.POSITIVE_INFINITY, 0, 0];
      for (let end = from + 1; end <= count; end++) {
        // Welford 1962: the sum of squared distances to the mean, a value at a time.
        const distance = (sorted[end - 1] as number) - mean;
        mean += distance / (end - from);
        spread += distance * ((sorted[end - 1] as number) - mean);
        const cost = spread + (rest[end] as number);
        if (cost >= best) continue;
        best = cost;
        if (from === 0) first = end;
      }
      return best;
    });
  }
  return first;
}
