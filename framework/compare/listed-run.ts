/** A run as lists of runs have it, wherever it lies: in a folder of runs, or on an MLflow server. */
import { RlrfError } from "../errors.js";
import { lastTold, type SelectionFigures } from "../sweep/selection.js";
import type { Spec } from "../spec/types.js";
import type { SweepReport } from "../sweep/report.js";
import type { RunState } from "../track/state.js";
import { unknownRun } from "../track/unknown-run.js";

export interface RunFigures extends SelectionFigures {
  /** On test users. */
  readonly arms: Readonly<Record<string, Readonly<Record<string, { readonly mean: number }>>>>;
}

export interface ListedRun {
  /** NAME-HASH, or SWEEP/TRIAL. */
  readonly id: string;
  readonly kind: "experiment" | "sweep" | "trial";
  readonly state: RunState;
  /** ISO 8601. */
  readonly begun: string;
  /** As the spec has it. */
  readonly name: string;
  readonly specHash: string | null;
  /** Runs of one digest were evaluated on the same lists. */
  readonly listsDigest: string | null;
  /** protocol.metrics */
  readonly metrics: readonly string[];
  readonly figures: RunFigures;
  /** Its folder, or MLflow's id of it. */
  readonly at: string;
}

/** Where runs lie. */
export interface RunSource {
  /** In words. */
  readonly place: string;
  /**
   * The newest first; the trials of a sweep right after it.
   * @param names runs that are asked about: folders may lie elsewhere
   * @throws RLRF_TRACK_…, RLRF_SWEEP_FILE of a sweep that is asked about, …
   */
  list(names?: readonly string[]): Promise<ListedRun[]>;
  /** A folder with the files that a comparison reads: spec.json and scores/. */
  folder(run: ListedRun): Promise<string>;
  /** As it was resolved. @throws RLRF_COMPARE_FILE, RLRF_FILE_…, RLRF_JSON, RLRF_RUN_UNKNOWN */
  spec(run: ListedRun): Promise<Spec>;
  /** @throws RLRF_SWEEP_FILE */
  sweep(run: ListedRun): Promise<SweepReport>;
  close(): Promise<void>;
}

/** The first metric on test users, of the last arm with texts: reported, never chosen by. */
export function testFigure({
  figures: { arms },
  metrics,
}: ListedRun): { readonly arm: string; readonly metric: string; readonly value: number } | null {
  const arm = lastTold(arms);
  const metric = metrics.find((name) => arms[arm]?.[name] !== undefined) ?? Object.keys(arms[arm] ?? {})[0];
  const value = metric === undefined ? undefined : arms[arm]?.[metric]?.mean;
  return metric === undefined || value === undefined ? null : { arm, metric, value };
}

/** The runs of these ids, folders or MLflow ids, in their order; all where there are none. @throws RLRF_RUN_UNKNOWN */
export function chosenRuns(runs: readonly ListedRun[], names: readonly string[], place: string): ListedRun[] {
  if (names.length === 0) return [...runs];
  return names.map((name) => {
    const wanted = name.replace(/\/+$/, "");
    const exact = runs.filter((run) => run.at === wanted || run.at.endsWith(`/${wanted}`));
    const found = exact.length > 0 ? exact : runs.filter(({ id }) => id === wanted);
    if (found.length === 1) return found[0] as ListedRun;
    if (found.length > 1)
      throw new RlrfError("RLRF_RUN_UNKNOWN", {
        message: `${found.length} runs are called "${name}"`,
        where: place,
        expected: `one of ${found.map(({ at }) => at).join(", ")}`,
      });
    const known = runs.filter(({ kind }) => kind !== "trial" || name.includes("/"));
    throw unknownRun(
      name,
      place,
      known.map(({ id }) => id),
    );
  });
}

/** A sweep stands for its trials. */
export function withTrials(chosen: readonly ListedRun[], all: readonly ListedRun[]): ListedRun[] {
  const runs = chosen.flatMap((run) =>
    run.kind === "sweep" ? all.filter(({ id, kind }) => kind === "trial" && id.startsWith(`${run.id}/`)) : [run],
  );
  return [...new Set(runs)];
}
