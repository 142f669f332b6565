/** Executors: where the units of work of a sweep or of one run are done. They distribute; what a unit computes they do not know. */
import type { Fault } from "../errors.js";

/** What a unit takes at most, as far as whoever made it can estimate. */
export interface UnitResources {
  /** Cores. */
  readonly cpus: number;
  readonly gpus: number;
  readonly memoryBytes: number;
  /** It runs the language model: the units that a GPU is for. */
  readonly languageModel?: boolean;
}

/**
 * An `rlrf` command of its own. What it makes lies in the store or the runs folder, never with the executor, so that a unit may be done
 * twice without harm. Paths in it are absolute: it may run on another machine that sees the same folders.
 */
export interface Unit {
  /** Letters, digits, . _ -. Begins with what tells its run or sweep, and the store, from others: many share an executor. */
  readonly id: string;
  /** Arguments of `rlrf`, with `--json`: a failure is told by the coded error that it prints. */
  readonly command: readonly string[];
  readonly resources: UnitResources;
}

/** waiting and running until the end; a unit whose process or machine was lost waits again. */
export type UnitState = "waiting" | "running" | "done" | "failed" | "cancelled";

export interface UnitChange {
  readonly id: string;
  readonly state: UnitState;
  /** From 1; 0 before the first. */
  readonly attempt: number;
  /** Where it runs, in the executor's own words: a process id, a job's name. */
  readonly place?: string;
  /** Why it waits again. */
  readonly lost?: string;
}

/** As `--json` prints it. */
export interface UnitError extends Fault {
  readonly code: string;
}

export interface UnitOutcome {
  readonly id: string;
  readonly state: "done" | "failed" | "cancelled";
  /** Of its last attempt; null where that was killed, lost or never begun. */
  readonly exitCode: number | null;
  readonly attempts: number;
  /** Of a unit that failed. */
  readonly error?: UnitError;
}

export interface RunUnitsOptions {
  /** Units that run at once, at most; the executor's own limit when left out. */
  readonly concurrent?: number;
  /** Ends what runs, and begins nothing more; what was not done is "cancelled". */
  readonly signal?: AbortSignal;
  readonly onChange?: (change: UnitChange) => void;
}

export interface Executor {
  /** Units of one run that are worth making at once; with 1 a run makes its steps itself, in its own process. */
  readonly parallel: number;
  /** Called before anything is computed: an executor that cannot be reached fails now. */
  prepare?(): Promise<void>;
  /**
   * Does all units, in whatever order; one that fails does not end the others.
   * A unit whose process or machine was lost is begun again; one that tells a coded error is not: it would tell it again.
   * @returns an outcome a unit, in the order of the units
   * @throws when the executor itself fails for good, such as a cluster that cannot be reached
   */
  run(units: readonly Unit[], options?: RunUnitsOptions): Promise<readonly UnitOutcome[]>;
  /**
   * Ends what an earlier process of this user began of these units and left behind; present where units outlive the process that began them.
   * @param prefix of the units' ids; @returns the places that were ended
   */
  stop?(prefix: string): Promise<readonly string[]>;
}
