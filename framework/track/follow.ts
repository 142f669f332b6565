/** Live tracking: a thread of its own reads the journal and sends what is new. The run never waits for it, and never fails because of it. */
import { basename, dirname, relative } from "node:path";
import { Worker } from "node:worker_threads";
import type { Logger } from "../contracts/plugin.js";
import { parseUri } from "./connection.js";

export interface FollowOptions {
  /** Milliseconds between looks at the journal. */
  readonly interval?: number;
  /** Milliseconds that the end of a run waits for the server to take the rest. */
  readonly patience?: number;
  /** Ends that wait; one that has ended the run shortens it. */
  readonly signal?: AbortSignal;
}

/** Milliseconds of the wait that are left to a server where somebody, or a server that has been away for some time, ends it early. */
export const shortPatience = 3_000;
/** Milliseconds of the wait after which it is told. */
const silence = 1_000;
/** Milliseconds beyond the patience in which the thread may end what it has begun, and give up its hold on the run. */
const farewell = 2_000;

/** From the thread. */
export type FollowMessage =
  | { readonly type: "info"; readonly message: string }
  | { readonly type: "warn"; readonly code: string; readonly message: string }
  /** All that the journal held is on the server, or not. */
  | { readonly type: "end"; readonly complete: boolean };

/** To the thread, once: the milliseconds that it has to send the rest. */
export type FinishMessage = number;

export interface FollowData extends Required<Omit<FollowOptions, "signal">> {
  readonly folder: string;
  readonly uri: string;
}

export interface Follower {
  /** Sends the rest, as long as patience lasts, and says how to replay what could not be sent. Never throws. */
  finish(): Promise<{ readonly complete: boolean }>;
}

/** @throws RLRF_TRACK_URI, before anything is started */
export function follow(folder: string, uri: string, logger: Logger, options: FollowOptions = {}): Follower {
  const { interval = 1_000, patience = 20_000, signal } = options;
  parseUri(uri);
  const worker = new Worker(new URL("./follow-thread.js", import.meta.url), {
    workerData: { folder, uri, interval, patience } satisfies FollowData,
  });
  const ended = new Promise<boolean>((resolve) => {
    worker.on("message", (message: FollowMessage) => {
      if (message.type === "info") logger.info(message.message);
      else if (message.type === "warn") logger.warn(message.code, message.message);
      else resolve(message.complete);
    });
    worker.on("error", (error) => {
      logger.warn("RLRF_INTERNAL", `live tracking stopped: ${error.message}`);
      resolve(false);
    });
    worker.on("exit", () => resolve(false));
  });
  worker.unref(); // a run that fails without finishing must still end
  return {
    async finish() {
      const left: FinishMessage = signal?.aborted ? Math.min(patience, shortPatience) : patience;
      worker.ref();
      worker.postMessage(left);
      const silent = setTimeout(() => logger.info(waiting(uri, left + farewell)), silence);
      const complete = await Promise.race([ended, endOf(left + farewell, signal)]);
      clearTimeout(silent);
      await worker.terminate();
      if (!complete)
        logger.warn(
          "RLRF_TRACK_UNREACHABLE",
          `MLflow at ${uri} did not get everything; ${folder} has it all. Replay it with: ${replayCommand(folder, uri)}`,
        );
      return { complete };
    },
  };
}

/** @returns false after so many milliseconds, or when the signal comes */
function endOf(left: number, signal?: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    setTimeout(resolve, left, false).unref();
    signal?.addEventListener("abort", () => resolve(false), { once: true });
  });
}

function waiting(uri: string, left: number): string {
  return `waiting for MLflow at ${uri} to take the rest, at most ${Math.round(left / 1000)} s`;
}

function replayCommand(folder: string, uri: string): string {
  const run = dirname(relative(process.cwd(), folder)) === "runs" ? basename(folder) : folder;
  return `rlrf sync ${run} --to ${uri}`;
}
