/**
 * NDCG and MAP of many lists at once: the one implementation that reward and evaluation both call.
 * Under the tie policy "expected" a list's value is the exact mean over all orders of its tied items, in closed form.
 */
import type { TiePolicy } from "../contracts/feedback.js";
import { RlrfError } from "../errors.js";

/** @returns a value a list, [lists]; NaN for lists without a relevant item (label > 0) */
export type RankingMetric = (scores: ArrayLike<number>, labels: Uint8Array, length: number, k: number, ties: TiePolicy) => Float64Array;

/**
 * Normalised discounted cumulative gain (Järvelin & Kekäläinen 2002, with the gain of Burges et al. 2005): gain 2^label - 1, discount log2(rank + 1),
 * ideal = the same list ideally ordered.
 * @param scores [lists * length] @param labels [lists * length] @throws RLRF_METRIC_NAN
 */
export const ndcg: RankingMetric = (scores, labels, length, k, ties) => {
  const discounts = Float64Array.from({ length: Math.min(k, length) }, (_, i) => 1 / Math.log2(i + 2));
  // summed[i] = discounts of the first i ranks
  const summed = new Float64Array(length + 1);
  for (let i = 0; i < length; i++) summed[i + 1] = (summed[i] as number) + (discounts[i] ?? 0);
  return rankLists(scores, labels, length, ties, (ranked, groupEnd) => {
    let dcg = 0;
    for (let begin = 0; begin < discounts.length; ) {
      const end = groupEnd[begin] as number;
      let gain = 0;
      for (let i = begin; i < end; i++) gain += gains[ranked[i] as number] as number;
      // Each of a group's items is at each of its ranks equally often.
      dcg += (gain / (end - begin)) * ((summed[end] as number) - (summed[begin] as number));
      begin = end;
    }
    const ideal = ranked.sort(); // ascending: the best come last
    let best = 0;
    for (let i = 0; i < discounts.length; i++) best += (gains[ideal[length - 1 - i] as number] as number) * (discounts[i] as number);
    return dcg / best;
  });
};

const gains = Float64Array.from({ length: 256 }, (_, label) => 2 ** label - 1);

/**
 * Average precision at k: the precisions at the ranks of relevant items, divided by min(k, relevant items of the list).
 * @param scores [lists * length] @param labels [lists * length] @throws RLRF_METRIC_NAN
 */
export const averagePrecision: RankingMetric = (scores, labels, length, k, ties) =>
  rankLists(scores, labels, length, ties, (ranked, groupEnd, relevant) => {
    let sum = 0;
    let before = 0;
    for (let begin = 0; begin < Math.min(k, length); ) {
      const end = groupEnd[begin] as number;
      const size = end - begin;
      let hits = 0;
      for (let i = begin; i < end; i++) hits += Number((ranked[i] as number) > 0);
      // Given a hit at one rank of the group, each of its other ranks has one of the other hits - 1 with this chance.
      const chance = size > 1 ? (hits - 1) / (size - 1) : 0;
      for (let rank = begin; rank < Math.min(end, k); rank++) sum += ((hits / size) * (before + 1 + (rank - begin) * chance)) / (rank + 1);
      before += hits;
      begin = end;
    }
    return sum / Math.min(k, relevant);
  });

/**
 * Reciprocal rank at k: 1 / the rank of the first relevant item, 0 where that is beyond k.
 * @param scores [lists * length] @param labels [lists * length] @throws RLRF_METRIC_NAN
 */
export const reciprocalRank: RankingMetric = (scores, labels, length, k, ties) =>
  rankLists(scores, labels, length, ties, (ranked, groupEnd) => {
    let begin = 0;
    let hits = 0;
    for (; hits === 0; begin = groupEnd[begin] as number) {
      for (let i = begin; i < (groupEnd[begin] as number); i++) hits += Number((ranked[i] as number) > 0);
      if (hits > 0) break;
    }
    const size = (groupEnd[begin] as number) - begin;
    let value = 0;
    let none = 1; // chance that no place of the group before this one has a hit
    for (let place = 0; place < size && begin + place < k; place++) {
      const hit = hits / (size - place); // given none before
      value += (none * hit) / (begin + place + 1);
      none *= 1 - hit;
    }
    return value;
  });

/**
 * @param ranked the list's labels, best score first
 * @param groupEnd where the group of tied items that begins at a rank ends
 */
type Measure = (ranked: Uint8Array, groupEnd: Int32Array, relevant: number) => number;

function rankLists(scores: ArrayLike<number>, labels: Uint8Array, length: number, ties: TiePolicy, measure: Measure): Float64Array {
  const lists = labels.length / length;
  if (scores.length !== labels.length || !Number.isInteger(lists))
    throw new RlrfError("RLRF_INTERNAL", { message: `${scores.length} scores and ${labels.length} labels are not lists of ${length}` });
  const values = new Float64Array(lists);
  const ranked = new Uint8Array(length);
  const sorted = new Float64Array(length);
  const groupEnd = new Int32Array(length);
  for (let list = 0; list < lists; list++) {
    const relevant = sortList(scores, labels, list * length, sorted, ranked, ties);
    if (relevant === 0) {
      values[list] = Number.NaN;
      continue;
    }
    for (let rank = length - 1; rank >= 0; rank--) {
      const tied = ties === "expected" && rank + 1 < length && sorted[rank] === sorted[rank + 1];
      groupEnd[rank] = tied ? (groupEnd[rank + 1] as number) : rank + 1;
    }
    values[list] = measure(ranked, groupEnd, relevant);
  }
  return values;
}

/** Insertion sort: lists are short, and most of the time goes into calls otherwise. @returns the number of relevant items */
function sortList(
  scores: ArrayLike<number>,
  labels: Uint8Array,
  begin: number,
  sorted: Float64Array,
  ranked: Uint8Array,
  ties: TiePolicy,
): number {
  const worseFirst = ties === "pessimistic";
  let relevant = 0;
  for (let i = 0; i < sorted.length; i++) {
    const score = scores[begin + i] as number;
    const label = labels[begin + i] as number;
    if (Number.isNaN(score)) throw nanScore(begin / sorted.length, i);
    if (label > 0) relevant++;
    let rank = i;
    for (; rank > 0; rank--) {
      const above = sorted[rank - 1] as number;
      const aboveLabel = ranked[rank - 1] as number;
      if (above > score || (above === score && (worseFirst ? aboveLabel <= label : aboveLabel >= label))) break;
      sorted[rank] = above;
      ranked[rank] = aboveLabel;
    }
    sorted[rank] = score;
    ranked[rank] = label;
  }
  return relevant;
}

function nanScore(list: number, candidate: number): RlrfError {
  return new RlrfError("RLRF_METRIC_NAN", {
    message: `the score of candidate ${candidate} is not a number`,
    where: `list ${list}`,
    hint: "the recommender diverged: lower its learning rate",
  });
}

export interface NamedMetric {
  /** "ndcg@5" */
  readonly name: string;
  readonly at: number;
  /** [lists] from flat [lists * length] scores and labels; NaN for lists without a relevant item. */
  measure(scores: ArrayLike<number>, labels: Uint8Array, length: number, ties: TiePolicy): Float64Array;
}

const metrics: Readonly<Record<string, RankingMetric>> = { ndcg, map: averagePrecision };
const names = Object.keys(metrics);

/** What a metric is called, within a regular expression: specs, sweeps and what reads them ask for no other. */
export const metricPattern = `(?:${names.join("|")})@[1-9][0-9]*`;
/** The same in words. */
export const metricForm = `${names.map((name) => `${name}@K`).join(" or ")}, such as ${names[0]}@5`;

/** @param name of the form of {@link metricForm} @throws RLRF_METRIC_NAME */
export function metricByName(name: string): NamedMetric {
  const [, of = "", at = ""] = /^([a-z]+)@([1-9]\d*)$/.exec(name) ?? [];
  const metric = Object.hasOwn(metrics, of) ? metrics[of] : undefined;
  if (metric === undefined) throw new RlrfError("RLRF_METRIC_NAME", { message: `there is no metric "${name}"`, expected: metricForm });
  return { name, at: Number(at), measure: (scores, labels, length, ties) => metric(scores, labels, length, Number(at), ties) };
}
