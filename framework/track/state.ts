/** What a journal says of its run: enough for a list of runs. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { linesOf } from "../store/files.js";
import { holderOf } from "../store/lock.js";
import type { RunStatus } from "./events.js";
import { journalName, parseEvent } from "./journal.js";

export interface JournalState {
  readonly key: string;
  readonly name: string;
  /** "experiment", "sweep", … */
  readonly kind: string;
  /** As last told; RUNNING also of a run that was killed. */
  readonly status: RunStatus | "RUNNING";
  /** Milliseconds since 1970. */
  readonly begun: number;
  /** When it was last told of. */
  readonly told: number;
}

/** "stopped": it was killed, or its machine was lost; its own command goes on with it. "broken": a sweep whose table cannot be read. */
export type RunState = "running" | "done" | "failed" | "interrupted" | "stopped" | "broken";

/** A day of training tells some megabytes. */
const limitBytes = 256 * 2 ** 20;

/** @returns null where there is no journal, or nothing in it */
export async function journalState(folder: string): Promise<JournalState | null> {
  const path = join(folder, journalName);
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  if (size === 0 || size > limitBytes) return null;
  let state: JournalState | null = null;
  for await (const { text, ended } of linesOf(path)) {
    const event = ended ? parseEvent(text) : null;
    if (event === null) continue;
    if (state === null) {
      const { name, kind } = event.event === "run" ? event : { name: event.key, kind: "experiment" };
      state = { key: event.key, name, kind, status: "RUNNING", begun: event.time, told: event.time };
    }
    const own: JournalState = state;
    const status =
      event.key !== own.key ? own.status : event.event === "finish" ? event.status : event.event === "resume" ? "RUNNING" : own.status;
    state = { ...own, status, told: Math.max(own.told, event.time) };
  }
  return state;
}

/** @param ended what it ends with is there: then it is done, whatever became of a later attempt */
export async function runState(folder: string, { status }: JournalState, ended = false): Promise<RunState> {
  const states = { FINISHED: "done", FAILED: "failed", KILLED: "interrupted" } as const;
  if (status === "RUNNING" && (await holderOf(join(folder, "lock"))) !== null) return "running";
  if (ended) return "done";
  return status === "RUNNING" ? "stopped" : states[status];
}
