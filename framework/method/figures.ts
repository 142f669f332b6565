/** One figure a user, from the scores of lists: the same path for the reward's hearing test and for the arms of the result. */
import { labelsOf } from "../data/labels.js";
import { userMeans } from "../metrics/by-user.js";
import type { Study } from "./study.js";

/** A recommender's scores of some lists. */
export interface ScoredLists {
  readonly seed: number;
  /** List numbers. */
  readonly lists: Int32Array;
  readonly scores: Float32Array; // [lists * length]
}

/** @returns [users], the mean over a user's lists and over seeds; NaN for users without a value */
export function userValues(study: Study, scored: readonly ScoredLists[], metric: string): Float64Array {
  const { lists, users } = study.data;
  const parts = scored.map(({ seed, lists: numbers, scores }) => ({
    seed,
    users: numbers.map((list) => lists.user[list] as number),
    labels: labelsOf(lists, numbers),
    scores,
  }));
  return userMeans(parts, { metric, length: lists.length, ties: study.spec.protocol.ties, users: users.length });
}
