/** One figure a user, from the scores of lists: the same path for the reward's hearing test and for the arms of the result. */
import { labelsOf } from "../data/labels.js";
import { groupMeans, seedMeans } from "../metrics/aggregate.js";
import { metricByName } from "../metrics/ranking.js";
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
  const { measure } = metricByName(metric);
  const seeds = [...new Set(scored.map(({ seed }) => seed))];
  return seedMeans(
    seeds.map((seed) => {
      const mine = scored.filter((part) => part.seed === seed);
      const numbers = mine.flatMap((part) => [...part.lists]);
      const values = mine.flatMap((part) => [...measure(part.scores, labelsOf(lists, part.lists), lists.length, study.spec.protocol.ties)]);
      return groupMeans(
        values,
        numbers.map((list) => lists.user[list] as number),
        users.length,
      );
    }),
  );
}
