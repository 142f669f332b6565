/** From values of lists to one figure: the mean over a user's lists, then over users, then over seeds. NaN means "nothing to average". */

/** The mean of what is a number; NaN when nothing is. */
export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  let count = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (Number.isNaN(value)) continue;
    sum += value;
    count++;
  }
  return sum / count;
}

/**
 * @param values [lists] @param groups the user (or text) of each list, [lists] @param count users
 * @returns each user's mean over its lists, [count]; NaN for users none of whose lists has a value
 */
export function groupMeans(values: ArrayLike<number>, groups: ArrayLike<number>, count: number): Float64Array {
  const sums = new Float64Array(count);
  const counts = new Int32Array(count);
  for (let list = 0; list < values.length; list++) {
    const value = values[list] as number;
    const group = groups[list] as number;
    if (Number.isNaN(value)) continue;
    sums[group] = (sums[group] as number) + value;
    counts[group] = (counts[group] as number) + 1;
  }
  return sums.map((sum, group) => sum / (counts[group] as number));
}

/** @param bySeed the users' means under each seed, each [users] @returns each user's mean over the seeds, [users] */
export function seedMeans(bySeed: readonly Float64Array[]): Float64Array {
  const users = bySeed[0]?.length ?? 0;
  return Float64Array.from({ length: users }, (_, user) => mean(bySeed.map((values) => values[user] as number)));
}
