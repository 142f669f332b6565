/** The best of some runs, by a figure that does not look at test users. */
import { RlrfError } from "../errors.js";
import type { Json } from "../spec/json.js";
import { reselected } from "../sweep/report.js";
import { parseSelection, rulersOf, type SelectionMetric, selectionValue } from "../sweep/selection.js";
import { chosenRuns, type ListedRun, type RunSource } from "./listed-run.js";
import { specDifferences } from "./spec-differences.js";
import { overlap } from "../spec/pointer.js";
import { sweepSchema } from "../spec/sweep.js";
import type { Spec } from "../spec/types.js";

/** A run; or a point of a sweep, which is one run a seed. */
export interface Candidate {
  readonly id: string;
  readonly runs: readonly ListedRun[];
  /** What it has in the sweep's axes; empty for a run by itself. */
  readonly values: Readonly<Record<string, Json>>;
  /** The mean over its runs; null where one of them does not have it. */
  readonly selection: number | null;
}

export interface Best {
  /** reward, ndcg@5, ARM/ndcg@5 */
  readonly metric: string;
  /** The best first; those without the metric last. */
  readonly candidates: readonly Candidate[];
  /** Of equals the first. */
  readonly best: Candidate | null;
  /** Ids of the others that are as good as the best. */
  readonly tied: readonly string[];
}

const form = new RegExp(sweepSchema.properties.metric.pattern);

/** @param names none: all runs @throws RLRF_METRIC_NAME, RLRF_RUN_UNKNOWN, RLRF_COMPARE_LISTS, RLRF_COMPARE_FILE */
export async function bestOf(source: RunSource, names: readonly string[], wanted?: string): Promise<Best> {
  if (wanted !== undefined && !form.test(wanted))
    throw new RlrfError("RLRF_METRIC_NAME", {
      message: `runs are not chosen by ${JSON.stringify(wanted)}`,
      where: "--metric",
      expected: "reward (of held-out users), or a metric on valid users: ndcg@5, ARM/ndcg@5",
    });
  const all = await source.list(names);
  const chosen = chosenRuns(all, names, source.place).filter(
    ({ kind, state }) => names.length > 0 || (kind !== "trial" && state !== "broken"),
  );
  const metric = wanted ?? (await metricOf(chosen, source));
  const selection = parseSelection(metric);
  const candidates: Candidate[] = [];
  for (const run of chosen)
    candidates.push(...(run.kind === "sweep" ? await pointsOf(run, all, source, metric, selection) : [candidateOf(run, selection)]));
  if (wanted !== undefined) mustBeTold(wanted, candidates);
  await mustBeComparable(candidates, selection, source);
  const value = (candidate: Candidate) => candidate.selection ?? Number.NEGATIVE_INFINITY;
  candidates.sort((a, b) => (value(a) === value(b) ? 0 : value(b) - value(a)));
  const [first, ...others] = candidates;
  if (first === undefined || first.selection === null) return { metric, candidates, best: null, tied: [] };
  const tied = others.filter(({ selection }) => selection === first.selection).map(({ id }) => id);
  return { metric, candidates, best: first, tied };
}

/** A metric that was asked for, and that nothing has, is misspelt, or of other runs. */
function mustBeTold(metric: string, candidates: readonly Candidate[]): void {
  if (candidates.some(({ selection }) => selection !== null)) return;
  const figures = candidates.flatMap(({ runs }) => runs.map((run) => run.figures));
  const there = new Set<string>();
  for (const { valid, llm } of figures) {
    if (Object.keys(llm).length > 0) there.add("reward");
    for (const [arm, metrics] of Object.entries(valid)) for (const name of Object.keys(metrics)) there.add(name).add(`${arm}/${name}`);
  }
  throw new RlrfError("RLRF_METRIC_NAME", {
    message: `none of the runs has ${metric}`,
    where: "--metric",
    expected: there.size === 0 ? "runs that have ended: these have no figures yet" : `one of ${[...there].sort().join(", ")}`,
  });
}

function candidateOf(run: ListedRun, selection: SelectionMetric): Candidate {
  return { id: run.id, runs: [run], values: {}, selection: selectionValue(run.figures, selection) };
}

/** A sweep's own, where only one is asked about; else the first metric of the first run. */
async function metricOf(chosen: readonly ListedRun[], source: RunSource): Promise<string> {
  const [first] = chosen;
  if (first === undefined) throw new RlrfError("RLRF_RUN_UNKNOWN", { message: "there are no runs", where: source.place });
  const own = first.kind === "sweep" && chosen.length === 1 ? (await source.sweep(first)).metric : null;
  return own ?? chosen.flatMap(({ metrics }) => metrics)[0] ?? "ndcg@5";
}

/** Those of the last rung, each the mean over its seeds. */
async function pointsOf(
  sweep: ListedRun,
  all: readonly ListedRun[],
  source: RunSource,
  metric: string,
  selection: SelectionMetric,
): Promise<Candidate[]> {
  const trials = new Map(
    all.flatMap((run) => (run.kind === "trial" && run.id.startsWith(`${sweep.id}/`) ? [[run.id.slice(sweep.id.length + 1), run]] : [])),
  );
  const report = reselected(await source.sweep(sweep), metric, (id) => {
    const run = trials.get(id);
    return run === undefined ? null : selectionValue(run.figures, selection);
  });
  const last = Math.max(...report.points.map(({ rung }) => rung));
  return report.points
    .filter(({ rung }) => rung === last)
    .map(({ trials: ids, values, selection: mean }) => ({
      id: `${sweep.id}/${ids.join(", ")}`,
      runs: ids.flatMap((id) => trials.get(id) ?? []),
      values,
      selection: mean,
    }));
}

/** Figures on different users or lists, or rewards of different models, cannot be ranked. */
async function mustBeComparable(candidates: readonly Candidate[], selection: SelectionMetric, source: RunSource): Promise<void> {
  const ranked = candidates.filter((candidate) => candidate.selection !== null);
  const runs = ranked.flatMap((candidate) => candidate.runs);
  const digests = new Map(runs.map((run) => [run.listsDigest, run.id]));
  if (digests.size > 1)
    throw new RlrfError("RLRF_COMPARE_LISTS", {
      message: `the runs were measured on ${digests.size} different sets of lists, such as those of ${[...digests.values()].slice(0, 3).join(", ")}`,
      where: source.place,
      expected: "runs of one data set under one protocol",
      hint: "name the runs, or the sweep, that are to be ranked",
    });
  if (selection.kind !== "reward") return;
  const specs = new Map<ListedRun, Spec>();
  for (const run of runs) specs.set(run, await source.spec(run));
  // Seed by seed: the seeds of one point differ, and may.
  const bySeed = ranked.map((candidate) => Object.fromEntries(candidate.runs.map((run, seed) => [seed, specs.get(run)])));
  const rulers = rulersOf("reward", [...specs.values()]);
  const apart = specDifferences(bySeed)
    .map(({ pointer }) => pointer.replace(/^\/\d+/, "") || "/seeds")
    .find((pointer) => rulers.some((section) => overlap(pointer, section)));
  if (apart !== undefined)
    throw new RlrfError("RLRF_COMPARE_LISTS", {
      message: `the runs differ in ${apart}, so their rewards are not of the same reward models and users`,
      where: source.place,
      expected: "a metric on valid users, or runs with the same reward",
    });
}
