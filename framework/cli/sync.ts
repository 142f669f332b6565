/** `rlrf sync [RUN…] --to URI`: replays journals to an MLflow server, without doubles however often. */
import { join } from "node:path";
import type { Logger } from "../contracts/plugin.js";
import { RlrfError } from "../errors.js";
import type { SyncReport } from "../track/sync.js";
import { AlreadyReported, jsonOption, quietOption, type Register } from "./command.js";
import { errorJson } from "./failure.js";
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
interface FailedRun {
  readonly run: string;
  readonly error: RlrfError;
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
  const sending = new Sending(createLogger({ quiet }));
  for (const folder of await findRuns(runs, names)) await sending.add(folder, to);
  const { synced, failed } = sending;
  const [first] = failed;
  if (first !== undefined && failed.length + synced.length === 1) throw first.error;
  if (json) printJson([...synced, ...failed.map(({ run, error }) => ({ run, error: errorJson(error) }))]);
  else if (!quiet)
    print(
      table(
        [["run", "MLflow run", "runs new/found", "metrics", "params", "artifacts new/kept"], ...synced.map(row), ...failed.map(failedRow)],
        [3, 4],
      ),
    );
  const errors = [...failed.map(({ error }) => error), ...(await refusals(synced))];
  if (errors.length === 0) return;
  for (const message of new Set(errors.map((error) => error.message))) process.stderr.write(`${message}\n`); // the JSON has them already
  throw new AlreadyReported(Math.min(...errors.map(({ exit }) => exit)));
}

/** Run after run: what is wrong with one keeps no other back. */
class Sending {
  readonly synced: SyncedRun[] = [];
  readonly failed: FailedRun[] = [];
  /** Servers that took nothing, and why: they are not asked again for each run. */
  private readonly lost = new Map<string, RlrfError>();

  constructor(private readonly logger: Logger) {}

  /** A run; or a sweep, and then its trials, which are below it there. */
  async add(folder: string, to: string | undefined): Promise<void> {
    const { trackingUriOf } = await import("../track/runs.js");
    const { journalName } = await import("../track/journal.js");
    const { isSweep, trialFolders } = await import("../sweep/read-report.js");
    await this.attempt(folder, async () => {
      const uri = await trackingUriOf(folder, to);
      const trials = isSweep(folder) ? await trialFolders(folder, journalName) : [];
      for (const run of [folder, ...trials]) await this.attempt(run, () => this.send(run, uri));
    });
  }

  private async send(run: string, uri: string): Promise<void> {
    const lost = this.lost.get(uri);
    if (lost !== undefined) throw lost;
    const { MlflowClient } = await import("../track/mlflow.js");
    const { Sync } = await import("../track/sync.js");
    const client = new MlflowClient(uri, { logger: this.logger, replayed: true });
    try {
      const open = await Sync.open(run, client, this.logger);
      try {
        const report = await open.pass();
        if (report.runId === null) throw untold(run);
        this.synced.push({ run, uri: client.uri, ...report });
      } finally {
        await open.close();
      }
    } catch (error) {
      if (error instanceof RlrfError && isOfServer(error)) this.lost.set(uri, error);
      throw error;
    } finally {
      client.close();
    }
  }

  private async attempt(run: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof RlrfError)) throw error;
      this.failed.push({ run, error });
    }
  }
}

/** An emptied journal, or one of other lines, has nothing to send. */
function untold(run: string): RlrfError {
  return new RlrfError("RLRF_RUN_UNKNOWN", {
    message: "the run's journal tells of no run",
    where: join(run, "journal.jsonl"),
    expected: "the events of a run, as `rlrf run` writes them",
    hint: "give its `rlrf run` again: what is computed is found, and told anew",
  });
}

function isOfServer({ code }: RlrfError): boolean {
  return code === "RLRF_TRACK_UNREACHABLE" || code === "RLRF_TRACK_AUTH" || code === "RLRF_TRACK_SERVER";
}

/** One error for all entries that servers refused. */
async function refusals(synced: readonly SyncedRun[]): Promise<RlrfError[]> {
  const refused = synced.flatMap((run) => run.refused);
  if (refused.length === 0) return [];
  const { refusalLines } = await import("../track/batches.js");
  const message = `MLflow refused ${refused.length} entries; all others were logged:\n    ${refusalLines(refused).join("\n    ")}`;
  return [new RlrfError("RLRF_TRACK_REFUSED", { message })];
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

function failedRow({ run, error }: FailedRun): string[] {
  return [run, error.code, "-", "-", "-", "-"];
}
