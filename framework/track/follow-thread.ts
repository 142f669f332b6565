/** The thread that `follow` starts. */
import { parentPort, workerData } from "node:worker_threads";
import type { Logger } from "../contracts/plugin.js";
import { RlrfError } from "../errors.js";
import { refusalLines } from "./batches.js";
import { type FinishMessage, type FollowData, type FollowMessage, shortPatience } from "./follow.js";
import { MlflowClient } from "./mlflow.js";
import { Sync } from "./sync.js";

const longestPause = 30_000;

const { folder, uri, interval, patience } = workerData as FollowData;
const tell = (message: FollowMessage): void => parentPort?.postMessage(message);
const logger: Logger = {
  info: (message) => tell({ type: "info", message }),
  warn: (code, message) => tell({ type: "warn", code, message }),
};

let deadline = Number.POSITIVE_INFINITY;
let failures = 0;
let wake = (): void => undefined;
parentPort?.on("message", (left: FinishMessage) => {
  // A server that has been away for some time is not waited for long: the journal can be replayed.
  deadline = Date.now() + (failures > 1 ? Math.min(left, shortPatience) : left);
  wake();
});

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    wake = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}

/** @returns whether everything in the journal was sent */
async function run(client: MlflowClient): Promise<boolean> {
  let sync: Sync | undefined;
  try {
    for (;;) {
      const finishing = deadline !== Number.POSITIVE_INFINITY;
      try {
        sync ??= await Sync.open(folder, client, logger);
        const { refused } = await sync.pass();
        if (refused.length > 0) logger.warn("RLRF_TRACK_REFUSED", refusalLines(refused).join("\n"));
        if (failures > 0) logger.info(`MLflow at ${uri} is back; nothing was lost`);
        failures = 0;
        // Only a pass that began after the run's last event has seen everything.
        if (finishing) return true;
      } catch (error) {
        if (failures++ === 0) reportFailure(error);
        if (Date.now() >= deadline) return false;
      }
      const backoff = failures === 0 ? interval : Math.min(longestPause, interval * 2 ** failures);
      await pause(deadline === Number.POSITIVE_INFINITY ? backoff : Math.min(backoff, 500));
    }
  } finally {
    await sync?.close();
  }
}

function reportFailure(error: unknown): void {
  const [code, message] = error instanceof RlrfError ? [error.code, error.fault.message] : ["RLRF_INTERNAL", String(error)];
  logger.warn(code, `${message}; the run goes on, the journal keeps everything, and sending it is tried again`);
}

// Few tries a request: this loop has a patience of its own.
const client = new MlflowClient(uri, { attempts: 2, timeout: Math.min(10_000, patience), replayed: true });
const complete = await run(client);
client.close();
tell({ type: "end", complete });
parentPort?.close();
