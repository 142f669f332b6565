/** Arms of several runs side by side, on the users whom all of them tested, with paired tests between the runs. */
import type { TiePolicy } from "../contracts/feedback.js";
import { RlrfError } from "../errors.js";
import { type RankedLists, userMeans } from "../metrics/by-user.js";
import { bootstrapIntervals, type CorrectedTest, type Interval, pairedTests } from "../metrics/statistics.js";
import type { Json } from "../spec/json.js";
import { isObject } from "../spec/origins.js";
import type { ArmScores, ComparedRun } from "./read-run.js";
import { type SpecDifference, specDifferences } from "./spec-differences.js";

/** A paired randomisation test by user of one arm between two runs; `pHolm` is corrected over all tests of its metric. */
export interface RunTest {
  readonly metric: string;
  readonly arm: string;
  /** Places in `runs`. */
  readonly run: number;
  readonly against: number;
  /** Mean over users of run - against. */
  readonly difference: number;
  readonly p: number;
  readonly pHolm: number;
  /** Users with a value in both: those with a relevant item. */
  readonly users: number;
}
export interface RunComparison {
  readonly runs: readonly {
    readonly name: string;
    readonly folder: string;
    readonly seeds: readonly number[];
    readonly usersLeftOut: number;
  }[];
  /** Tested by all runs, on the same lists. */
  readonly users: number;
  readonly metrics: readonly string[];
  /** metric -> arm -> one interval a run; null where a run does not have the arm. */
  readonly arms: Readonly<Record<string, Readonly<Record<string, readonly (Interval | null)[]>>>>;
  readonly tests: readonly RunTest[];
  readonly differences: readonly SpecDifference[];
}

/**
 * @param metrics absent: those that all specs report
 * @throws RLRF_COMPARE_LISTS, RLRF_METRIC_NAME
 */
export function compareRuns(runs: readonly ComparedRun[], metrics: readonly string[] = sharedMetrics(runs)): RunComparison {
  const users = sharedUsers(runs);
  const seed = seedOf(runs[0] as ComparedRun);
  const names = [...new Set(runs.flatMap(({ arms }) => [...arms.keys()]))];
  const arms: Record<string, Record<string, (Interval | null)[]>> = {};
  const tests: RunTest[] = [];
  const lists = names.map((arm) => runs.map((run) => rankedLists(run, run.arms.get(arm), users)));
  const ties = tiesOf(runs[0] as ComparedRun);
  for (const metric of metrics) {
    // One value a user, the same users in the same order for every run.
    const valuesOf = (parts: readonly RankedLists[] | null, run: number) =>
      parts === null ? null : userMeans(parts, { metric, length: (runs[run] as ComparedRun).length, ties, users: users.size });
    const values = new Map(names.map((arm, i) => [arm, (lists[i] as (readonly RankedLists[] | null)[]).map(valuesOf)]));
    arms[metric] = intervalsOf(values, seed);
    tests.push(...testsOf(metric, values, seed));
  }
  return {
    runs: runs.map(({ name, folder, seeds, lists }) => ({ name, folder, seeds, usersLeftOut: lists.size - users.size })),
    users: users.size,
    metrics,
    arms,
    tests,
    // Which run of MLflow a trial is told under names the trial itself.
    differences: specDifferences(runs.map(({ spec }) => spec)).filter(({ pointer }) => pointer !== "/tracking/run"),
  };
}

function intervalsOf(values: ReadonlyMap<string, readonly (Float64Array | null)[]>, seed: number): Record<string, (Interval | null)[]> {
  const known = [...values.values()].flat().filter((own) => own !== null);
  const intervals = new Map(bootstrapIntervals(known, { seed }).map((interval, i) => [known[i], interval]));
  return Object.fromEntries([...values].map(([arm, byRun]) => [arm, byRun.map((own) => (own && intervals.get(own)) ?? null)]));
}

/** Each pair of runs once, the later against the earlier, in every arm that both have. */
function testsOf(metric: string, values: ReadonlyMap<string, readonly (Float64Array | null)[]>, seed: number): RunTest[] {
  const pairs = [...values].flatMap(([arm, byRun]) =>
    byRun.flatMap((own, run) =>
      byRun.slice(0, run).flatMap((other, against) => (own === null || other === null ? [] : [{ arm, run, against, own, other }])),
    ),
  );
  const tested = pairedTests(
    pairs.map(({ own, other }) => [own, other] as const),
    { seed },
  );
  return pairs.map(({ arm, run, against }, i) => ({ metric, arm, run, against, ...(tested[i] as CorrectedTest) }));
}

/** Numbers of the users whom every run tested. */
function sharedUsers(runs: readonly ComparedRun[]): ReadonlyMap<string, number> {
  const [first, ...others] = runs as readonly [ComparedRun, ...ComparedRun[]];
  const shared = [...first.lists.keys()].filter((user) => others.every(({ lists }) => lists.has(user))).sort();
  const names = runs.map(({ name }) => name).join(" and ");
  if (shared.length === 0)
    throw new RlrfError("RLRF_COMPARE_LISTS", {
      message: `no user was tested by all of ${names}`,
      expected: "runs of one data set under one protocol: split, folds and seed say who is tested",
    });
  const differing = shared.filter((user) => others.some(({ lists }) => lists.get(user) !== first.lists.get(user)));
  if (differing.length > 0)
    throw new RlrfError("RLRF_COMPARE_LISTS", {
      message: `${names} scored other lists for ${differing.length} of ${shared.length} users, the first ${JSON.stringify(differing[0])}`,
      where: runs.map(({ folder }) => folder).join(", "),
      expected:
        "the same candidates with the same labels: one data set, and one protocol (window, listLength, positives, seed, relevantAbove)",
    });
  return new Map(shared.map((user, number) => [user, number]));
}

/** The lists of the shared users; null where the run does not have the arm. */
export function rankedLists({ length }: ComparedRun, arm: ArmScores | undefined, users: ReadonlyMap<string, number>): RankedLists[] | null {
  if (arm === undefined) return null;
  return [...arm.bySeed].map(([seed, own]) => {
    const kept = own.users.flatMap((user, list) => (users.has(user) ? [list] : []));
    const numbers = kept.map((list) => users.get(own.users[list] as string) as number);
    if (kept.length === own.users.length) return { ...own, seed, users: numbers };
    const labels = new Uint8Array(kept.length * length);
    const scores = new Float64Array(kept.length * length);
    for (const [row, list] of kept.entries())
      for (let slot = 0; slot < length; slot++) {
        labels[row * length + slot] = own.labels[list * length + slot] as number;
        scores[row * length + slot] = own.scores[list * length + slot] as number;
      }
    return { seed, users: numbers, labels, scores };
  });
}

function protocolOf({ spec }: ComparedRun): { readonly [key: string]: Json } {
  return isObject(spec.protocol) ? (spec.protocol as { readonly [key: string]: Json }) : {};
}

export function sharedMetrics(runs: readonly ComparedRun[]): string[] {
  const [first = [], ...others] = runs.map((run) => {
    const { metrics } = protocolOf(run);
    return Array.isArray(metrics) ? metrics.filter((metric) => typeof metric === "string") : [];
  });
  const shared = first.filter((metric) => others.every((metrics) => metrics.includes(metric)));
  return shared.length > 0 ? shared : ["ndcg@5"];
}

const tiePolicies: readonly TiePolicy[] = ["expected", "optimistic", "pessimistic"];

/** The first run's; all metrics are computed anew from the scores. */
export function tiesOf(run: ComparedRun): TiePolicy {
  const { ties } = protocolOf(run);
  return tiePolicies.find((policy) => policy === ties) ?? "expected";
}

export function seedOf(run: ComparedRun): number {
  const { seed } = protocolOf(run);
  return typeof seed === "number" && Number.isInteger(seed) ? seed : 0;
}
