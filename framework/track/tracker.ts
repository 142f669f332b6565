/** What the method tells of a run. Nothing here waits for a network: it all goes to the journal. */
import { join, relative, sep } from "node:path";
import { RlrfError } from "../errors.js";
import { insideOf } from "../store/run-folder.js";
import { journalNumber, type RunStatus, type Scalar } from "./events.js";
import { Journal, journalName, type RootRun } from "./journal.js";

export interface Tracker {
  /** A run below this one. The same name gives the same run, also in a process that resumes. */
  child(name: string, kind: string): Tracker;
  /** Nested values become one param a scalar leaf: {loss: {beta: 1}} is "loss.beta". */
  params(values: Readonly<Record<string, unknown>>): void;
  metrics(values: Readonly<Record<string, number>>, step?: number): void;
  tags(values: Readonly<Record<string, string>>): void;
  /** @param path a file or folder inside the run folder */
  artifact(path: string): void;
  finish(status: RunStatus): void;
}

/** Of a process that works for another one's run, which tells of it. */
export const silentTracker: Tracker = {
  child: () => silentTracker,
  params() {},
  metrics() {},
  tags() {},
  artifact() {},
  finish() {},
};

class JournalTracker implements Tracker {
  constructor(
    private readonly folder: string,
    private readonly journal: Journal,
    private readonly key: string,
  ) {}

  child(name: string, kind: string): Tracker {
    const key = `${this.key}/${name}`;
    this.journal.append({ event: "run", key, name, kind, parent: this.key });
    return new JournalTracker(this.folder, this.journal, key);
  }

  params(values: Readonly<Record<string, unknown>>): void {
    this.journal.append({ event: "params", key: this.key, params: Object.fromEntries(scalarLeaves(values)) });
  }

  metrics(values: Readonly<Record<string, number>>, step = 0): void {
    // MLflow would take such a step for 0, without a word.
    if (!Number.isSafeInteger(step))
      throw new RlrfError("RLRF_INTERNAL", { message: `step ${step} is not a whole number`, where: this.key });
    const metrics = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, journalNumber(value)]));
    this.journal.append({ event: "metrics", key: this.key, step, metrics });
  }

  tags(values: Readonly<Record<string, string>>): void {
    this.journal.append({ event: "tags", key: this.key, tags: values });
  }

  artifact(path: string): void {
    const inner = relative(this.folder, insideOf(this.folder, path));
    this.journal.append({ event: "artifact", key: this.key, path: inner.split(sep).join("/") });
  }

  finish(status: RunStatus): void {
    this.journal.append({ event: "finish", key: this.key, status });
  }
}

/**
 * The tracker of the experiment's own run; an existing journal in the folder is gone on with.
 * The caller closes the journal when the run ends.
 */
export function openTracker(folder: string, run: RootRun): { tracker: Tracker; journal: Journal } {
  const journal = new Journal(join(folder, journalName), run);
  return { tracker: new JournalTracker(folder, journal, journal.key), journal };
}

/** A list of scalars is one leaf, as JSON: "seeds" = "[1,2,3]". */
export function* scalarLeaves(value: unknown, name = ""): Generator<[string, Scalar]> {
  if (value === undefined) return;
  if (isScalar(value)) yield [name, typeof value === "number" && !Number.isFinite(value) ? String(value) : value];
  else if (Array.isArray(value) && value.every(isScalar)) yield [name, JSON.stringify(value)];
  else if (typeof value === "object")
    for (const [key, item] of Object.entries(value as object)) yield* scalarLeaves(item, name === "" ? key : `${name}.${key}`);
  else yield [name, String(value)];
}

function isScalar(value: unknown): value is Scalar {
  return value === null || ["string", "number", "boolean"].includes(typeof value);
}
