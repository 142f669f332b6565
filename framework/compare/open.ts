import { stat } from "node:fs/promises";
import type { Logger } from "../contracts/plugin.js";
import { RlrfError } from "../errors.js";
import type { RunSource } from "./listed-run.js";

/** Where commands look for runs unless they are told. */
export const runsByDefault = "runs";

export interface SourceOptions {
  readonly runs: string;
  /** An MLflow server instead of the folder. */
  readonly from?: string;
  readonly experiment?: string;
}

/** @throws RLRF_USAGE, RLRF_TRACK_URI */
export async function openRuns({ runs, from, experiment }: SourceOptions, logger: Logger): Promise<RunSource> {
  if (from === undefined) {
    if (experiment !== undefined) throw unusable("--experiment is of an MLflow server, and none is named", "--from URI besides");
    await mustBeFolder(runs);
    const { LocalRuns } = await import("./local-runs.js");
    return new LocalRuns(runs);
  }
  const { MlflowClient } = await import("../track/mlflow.js");
  const { MlflowRuns } = await import("./mlflow-runs.js");
  return new MlflowRuns(new MlflowClient(from, { logger }), experiment);
}

/** Who has run nothing yet has no folder, and has named none. */
async function mustBeFolder(runs: string): Promise<void> {
  const found = await stat(runs).catch(() => null);
  if (found?.isDirectory() || (found === null && runs === runsByDefault)) return;
  throw unusable(`--runs names ${found === null ? "nothing that is there" : "no folder"}: ${runs}`, "the folder in which runs are kept");
}

function unusable(message: string, expected: string): RlrfError {
  return new RlrfError("RLRF_USAGE", { message, expected, hint: "`rlrf help COMMAND` says what each option takes" });
}
