/** `rlrf sync [RUN…] --to URI`: replays journals to an MLflow server, without doubles however often. */
import type { Logger } from "../contracts/plugin.js";
import type { SyncReport } from "../track/sync.js";
import { AlreadyReported, jsonOption, quietOption, type Register } from "./command.js";
import { createLogger, print, printJson, table } from "./terminal.js";

interface SyncOptions {
  readonly to?: string;
  readonly runs: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}
interface SyncedRun extends SyncReport {
  readonly run: string;
  readonly uri: string;
}

export const register: Register = (program) => {
  const command = program
    .command("sync")
    .description("send runs, and the trials of sweeps, to an MLflow server; what it has already is not sent twice")
    .argument("[run...]", "names of runs, or their folders; all runs when none is given")
    .option("--to <uri>", "the server; else the run's own tracking.uri, else MLFLOW_TRACKING_URI")
    .option("--runs <folder>", "where runs are kept", "runs");
  jsonOption(quietOption(command)).action(sync);
};

async function sync(names: readonly string[], { to, runs, json = false, quiet = false }: SyncOptions): Promise<void> {
  const { findRuns } = await import("../track/runs.js");
  const { journalName } = await import("../track/journal.js");
  const logger = createLogger({ quiet });
  const synced: SyncedRun[] = [];
  for (const folder of await findRuns(runs, names)) {
    synced.push(await syncRun(folder, to, logger));
    const { isSweep, trialFolders } = await import("../sweep/read-report.js");
    const trials = isSweep(folder) ? await trialFolders(folder, journalName) : [];
    for (const trial of trials) synced.push(await syncRun(trial, to ?? synced.at(-1)?.uri, logger)); // after the sweep that they are below
  }
  if (json) printJson(synced);
  else if (!quiet)
    print(table([["run", "MLflow run", "runs new/found", "metrics", "params", "artifacts new/kept"], ...synced.map(row)], [3, 4]));
  const refused = synced.flatMap((run) => run.refused);
  if (refused.length === 0) return;
  const { RlrfError } = await import("../errors.js");
  const { refusalLines } = await import("../track/batches.js");
  const error = new RlrfError("RLRF_TRACK_REFUSED", {
    message: `MLflow refused ${refused.length} entries; all others were logged:\n    ${refusalLines(refused).join("\n    ")}`,
  });
  if (!json) throw error;
  process.stderr.write(`${error.message}\n`); // the JSON has them already
  throw new AlreadyReported(error.exit);
}

async function syncRun(folder: string, to: string | undefined, logger: Logger): Promise<SyncedRun> {
  const { MlflowClient } = await import("../track/mlflow.js");
  const { Sync } = await import("../track/sync.js");
  const { trackingUriOf } = await import("../track/runs.js");
  const client = new MlflowClient(await trackingUriOf(folder, to));
  try {
    const open = await Sync.open(folder, client, logger);
    try {
      return { run: folder, uri: client.uri, ...(await open.pass()) };
    } finally {
      await open.close();
    }
  } finally {
    client.close();
  }
}

function row({ run, runId, runs, sent, artifacts }: SyncedRun): string[] {
  return [
    run,
    runId ?? "-",
    `${runs.created}/${runs.found}`,
    String(sent.metrics),
    String(sent.params),
    `${artifacts.uploaded}/${artifacts.unchanged}`,
  ];
}
