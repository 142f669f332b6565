/** The page that a run, or a sweep, ends with. */
import type { Logger } from "../contracts/plugin.js";
import { RlrfError } from "../errors.js";
import { reportName, writeReport } from "../report/write.js";
import type { RunFolder } from "../store/run-folder.js";
import type { Tracker } from "../track/tracker.js";

/** It opens in MLflow's view of artifacts. What came to its end is not undone by its picture. */
export async function reportRun(folder: RunFolder, tracker: Tracker, logger: Logger): Promise<void> {
  const path = folder.path(reportName);
  try {
    await writeReport([folder.folder], path);
    tracker.artifact(path);
  } catch (error) {
    if (!(error instanceof RlrfError)) throw error;
    logger.warn(error.code, error.details);
  }
}
