/** What a sweep leaves: runs/SWEEP/sweep.json. Its JSON Schema is registry/sweep.schema.json. It holds no times: two sweeps of one spec end with the same. */
import type { ErrorCode } from "../errors.js";
import type { Result } from "../method/result.js";
import { runId } from "../spec/hash.js";
import type { Json } from "../spec/json.js";
import type { Sweep, Trial } from "./expand.js";
import { ranked, type Standing } from "./halving.js";

export const sweepName = "sweep.json";

/** waiting also after an interruption; "left out" of a rung that its point did not reach. */
export type TrialState = "waiting" | "running" | "done" | "failed" | "left out";

export interface TrialRow {
  readonly id: string;
  readonly point: number;
  readonly rung: number;
  readonly budget: number | null;
  readonly values: Readonly<Record<string, Json>>;
  readonly seeds: Readonly<Record<string, Json>>;
  readonly specHash: string;
  /** Its run folder, relative to the sweep's. */
  readonly run: string;
  readonly state: TrialState;
  /** The metric that the sweep chooses by; null before it is done, and where none is chosen by. */
  readonly selection: number | null;
  /** On test users: reported, never chosen by. */
  readonly arms: Result["arms"];
  readonly error: { readonly code: string; readonly message: string } | null;
}

export interface PointRow {
  readonly point: number;
  readonly rung: number;
  readonly budget: number | null;
  readonly values: Readonly<Record<string, Json>>;
  readonly trials: readonly string[];
  /** The mean over its trials; null unless all of them are done. */
  readonly selection: number | null;
}

export interface SweepReport {
  readonly name: string;
  readonly specHash: string;
  readonly strategy: string;
  /** "reward", "ndcg@5", "ARM/ndcg@5"; null: none is chosen. */
  readonly metric: string | null;
  /** JSON pointers of what is varied. */
  readonly axes: readonly string[];
  readonly ended: boolean;
  readonly trials: readonly TrialRow[];
  readonly points: readonly PointRow[];
  /** Among the points of the last rung that has any. */
  readonly best: (Pick<PointRow, "point" | "rung" | "values" | "trials"> & { readonly selection: number }) | null;
}

export function rowOf(trial: Trial): TrialRow {
  const { id, point, rung, budget, values, seeds, resolved } = trial;
  const run = `trials/${runId(resolved.spec, resolved.hash)}`;
  const about = { id, point, rung, budget, values, seeds, specHash: resolved.hash, run };
  return { ...about, state: "waiting", selection: null, arms: {}, error: null };
}

export function reportOf(sweep: Sweep, rows: readonly TrialRow[]): SweepReport {
  const { name, hash, settings, metric } = sweep;
  const points = pointRows(rows.filter(({ state }) => state !== "left out"));
  const about = {
    name,
    specHash: hash,
    strategy: settings.strategy,
    metric:
      metric === null
        ? null
        : metric.kind === "reward"
          ? "reward"
          : [...(metric.arm === null ? [] : [metric.arm]), metric.metric].join("/"),
    axes: Object.keys(settings.axes),
    ended: rows.every(({ state }) => state === "done" || state === "failed" || state === "left out"),
  };
  return { ...about, trials: rows, points, best: bestOf(points) };
}

/** The same sweep, chosen by another metric. @param selectionOf a trial's, by its id */
export function reselected(report: SweepReport, metric: string, selectionOf: (id: string) => number | null): SweepReport {
  const trials = report.trials.map((row) => ({ ...row, selection: selectionOf(row.id) }));
  const points = pointRows(trials.filter(({ state }) => state !== "left out"));
  return { ...report, metric, trials, points, best: bestOf(points) };
}

function pointRows(rows: readonly TrialRow[]): PointRow[] {
  const groups = new Map<string, TrialRow[]>();
  for (const row of rows) {
    const key = `${row.rung} ${row.point}`;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()].map((own) => {
    const { point, rung, budget, values } = own[0] as TrialRow; // a group has at least one
    const selections = own.map(({ selection }) => selection).filter((selection) => selection !== null);
    const selection = selections.length < own.length ? null : selections.reduce((sum, value) => sum + value, 0) / own.length;
    return { point, rung, budget, values, trials: own.map(({ id }) => id), selection };
  });
}

function bestOf(points: readonly PointRow[]): SweepReport["best"] {
  const last = Math.max(...points.filter(({ selection }) => selection !== null).map(({ rung }) => rung));
  const rung = points.filter((row) => row.rung === last);
  const [first] = ranked(rung);
  const row = rung.find(({ point }) => point === first);
  if (row === undefined || row.selection === null) return null;
  const { point, values, trials, selection } = row;
  return { point, rung: last, values, trials, selection };
}

/** How the points of a rung stand. */
export function standingsOf(rows: readonly TrialRow[], rung: number): Standing[] {
  return pointRows(rows.filter((row) => row.rung === rung && row.state !== "left out"));
}

export function errorOf(error: { readonly code: string; readonly message: string } | undefined): NonNullable<TrialRow["error"]> {
  const code: ErrorCode = "RLRF_INTERNAL";
  return error === undefined ? { code, message: "it failed without saying why" } : { code: error.code, message: error.message };
}
