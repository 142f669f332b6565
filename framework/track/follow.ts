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
}

/** From the thread. */
export type FollowMessage =
  | { readonly type: "info"; readonly message: string }
  | { readonly type: "warn"; readonly code: string; readonly message: string }
  /** All that the journal held is on the server, or not. */
  | { readonly type: "end"; readonly complete: boolean };

export interface FollowData extends Required<FollowOptions> {
  readonly folder: string;
  readonly uri: string;
}

export interface Follower {
  /** Sends the rest, as long as patience lasts, and says how to replay what could not be sent. Never throws. */
  finish(): Promise<{ readonly complete: boolean }>;
}

/** @throws RLRF_TRACK_URI, before anything is started */
export function follow(folder: string, uri: string, logger: Logger, { interval = 1_000, patience = 20_000 }: FollowOptions = {}): Follower {
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
      worker.ref();
      worker.postMessage("finish");
      const limit = new Promise<boolean>((resolve) => void setTimeout(resolve, patience + 5_000, false).unref());
      const complete = await Promise.race([ended, limit]);
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

function replayCommand(folder: string, uri: string): string {
  const run = dirname(relative(process.cwd(), folder)) === "runs" ? basename(folder) : folder;
  return `rlrf sync ${run} --to ${uri}`;
}
