import type { RunSource } from "./listed-run.js";

export interface SourceOptions {
  readonly runs: string;
  /** An MLflow server instead of the folder. */
  readonly from?: string;
  readonly experiment?: string;
}

/** @throws RLRF_TRACK_URI */
export async function openRuns({ runs, from, experiment }: SourceOptions): Promise<RunSource> {
  if (from === undefined) {
    const { LocalRuns } = await import("./local-runs.js");
    return new LocalRuns(runs);
  }
  const { MlflowClient } = await import("../track/mlflow.js");
  const { MlflowRuns } = await import("./mlflow-runs.js");
  return new MlflowRuns(new MlflowClient(from), experiment);
}
