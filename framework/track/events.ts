/** The lines of runs/ID/journal.jsonl; registry/journal.schema.json is their schema for other programs. */

/** JSON has no word for these three. */
export type JournalNumber = number | "NaN" | "Infinity" | "-Infinity";
export type Scalar = string | number | boolean | null;
export type RunStatus = "FINISHED" | "FAILED" | "KILLED";

interface Stamped {
  /** Of the run it belongs to: a UUID for the run of an experiment or sweep, PARENT/NAME for a child. */
  readonly key: string;
  /** Milliseconds since 1970. */
  readonly time: number;
}
export interface RunEvent extends Stamped {
  readonly event: "run";
  readonly name: string;
  /** "experiment", "sweep", "iteration", "seed", … */
  readonly kind: string;
  readonly parent: string | null;
  /** MLflow's experiment; on the first line only. */
  readonly experiment?: string;
}
/** The process was started again and goes on with the same run. */
export interface ResumeEvent extends Stamped {
  readonly event: "resume";
}
export interface ParamsEvent extends Stamped {
  readonly event: "params";
  readonly params: Readonly<Record<string, Scalar>>;
}
export interface MetricsEvent extends Stamped {
  readonly event: "metrics";
  readonly step: number;
  readonly metrics: Readonly<Record<string, JournalNumber>>;
}
export interface TagsEvent extends Stamped {
  readonly event: "tags";
  readonly tags: Readonly<Record<string, string>>;
}
export interface ArtifactEvent extends Stamped {
  readonly event: "artifact";
  /** A file or folder inside the run folder, with "/". */
  readonly path: string;
}
export interface FinishEvent extends Stamped {
  readonly event: "finish";
  readonly status: RunStatus;
}
export type JournalEvent = RunEvent | ResumeEvent | ParamsEvent | MetricsEvent | TagsEvent | ArtifactEvent | FinishEvent;

export function journalNumber(value: number): JournalNumber {
  return Number.isFinite(value) ? value : (String(value) as JournalNumber);
}
