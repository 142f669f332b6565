/** The one call that a run makes: its journal, and, where a server is named, the thread that sends it there. */
import type { Logger } from "../contracts/plugin.js";
import { parseUri } from "./connection.js";
import type { RunStatus } from "./events.js";
import { type FollowOptions, follow } from "./follow.js";
import type { RootRun } from "./journal.js";
import { openTracker, type Tracker } from "./tracker.js";

export interface Tracking {
  readonly tracker: Tracker;
  /** Of the run: its children are below it. */
  readonly key: string;
  /** Marks the run as ended, syncs the journal to disk, and lets the server take the rest. `complete`: a server has all of it. */
  finish(status: RunStatus): Promise<{ readonly complete: boolean }>;
}
export interface TrackingTarget extends RootRun {
  /** null: the journal alone. */
  readonly uri: string | null;
}

/** @throws RLRF_TRACK_URI, RLRF_DISK_FULL, RLRF_FILE_DENIED */
export function startTracking(folder: string, { uri, ...run }: TrackingTarget, logger: Logger, options?: FollowOptions): Tracking {
  if (uri !== null) parseUri(uri); // a wrong one is the user's to mend before anything is written
  const { tracker, journal } = openTracker(folder, run);
  const follower = uri === null ? null : follow(folder, uri, logger, options);
  return {
    tracker,
    key: journal.key,
    async finish(status) {
      tracker.finish(status);
      journal.close();
      return follower === null ? { complete: false } : follower.finish();
    },
  };
}

/** Where a run is tracked: --to, then the spec, then MLFLOW_TRACKING_URI; null = the journal alone. */
export function trackingUri(...wanted: readonly (string | null | undefined)[]): string | null {
  return [...wanted, process.env.MLFLOW_TRACKING_URI].find((uri) => uri !== undefined && uri !== null && uri !== "") ?? null;
}
