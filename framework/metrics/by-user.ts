/** One figure a user from the scores of lists: the same path for a run's own arms and for comparisons between runs. */
import type { TiePolicy } from "../contracts/feedback.js";
import { groupMeans, seedMeans } from "./aggregate.js";
import { metricByName } from "./ranking.js";

/** Some lists, scored by a recommender of one seed. */
export interface RankedLists {
  readonly seed: number;
  /** The user number of each list. [lists] */
  readonly users: ArrayLike<number>;
  readonly labels: Uint8Array; // [lists * length]
  readonly scores: ArrayLike<number>; // [lists * length]
}
export interface UserMeansOptions {
  /** "ndcg@5" */
  readonly metric: string;
  /** Candidates a list. */
  readonly length: number;
  readonly ties: TiePolicy;
  /** User numbers are below it. */
  readonly users: number;
}

/** @returns [users], the mean over a user's lists and over seeds; NaN for users without a value @throws RLRF_METRIC_NAME, RLRF_METRIC_NAN */
export function userMeans(parts: readonly RankedLists[], { metric, length, ties, users }: UserMeansOptions): Float64Array {
  const { measure } = metricByName(metric);
  const seeds = [...new Set(parts.map(({ seed }) => seed))];
  return seedMeans(
    seeds.map((seed) => {
      const mine = parts.filter((part) => part.seed === seed);
      const count = mine.reduce((sum, part) => sum + part.users.length, 0);
      const values = new Float64Array(count);
      const groups = new Int32Array(count);
      let at = 0;
      for (const part of mine) {
        values.set(measure(part.scores, part.labels, length, ties), at);
        groups.set(part.users, at);
        at += part.users.length;
      }
      return groupMeans(values, groups, users);
    }),
  );
}
