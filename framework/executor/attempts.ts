/** Units done with a limit on how many at once, each begun again when it was lost: what every executor's `run` is. */
import type { RunUnitsOptions, Unit, UnitChange, UnitOutcome } from "../contracts/executor.js";
import { printedLast } from "../setup/command.js";
import { errorIn } from "./error-in.js";

/** How one attempt of a unit ended. */
export interface AttemptResult {
  /** null: it was killed, or its machine was lost. */
  readonly exitCode: number | null;
  /** What it printed, at least the end of it. */
  readonly output: string;
  /** In words, where it ended neither well nor with a coded error. */
  readonly lost?: string;
  /** Somebody else ended it on purpose: it is not begun again. */
  readonly stopped?: true;
}

/** Tells where an attempt runs, as soon as it does. */
export type AttemptStarted = (place: string) => void;

export interface AttemptLimits {
  /** Units at once where the caller sets no limit. */
  readonly concurrent: number;
  /** Of one unit. */
  readonly attempts: number;
}

/**
 * @param attempt does a unit once; when the signal is aborted it ends what it began and returns or throws as soon as it can. What it throws
 * otherwise ends everything.
 */
export async function attempted(
  units: readonly Unit[],
  options: RunUnitsOptions,
  limits: AttemptLimits,
  attempt: (unit: Unit, number: number, started: AttemptStarted, signal: AbortSignal) => Promise<AttemptResult>,
): Promise<readonly UnitOutcome[]> {
  const ending = new AbortController();
  const signal = options.signal === undefined ? ending.signal : AbortSignal.any([options.signal, ending.signal]);
  const tell = (change: UnitChange) => options.onChange?.(change);
  const outcomes = new Map<Unit, UnitOutcome>();
  for (const { id } of units) tell({ id, state: "waiting", attempt: 0 });
  const waiting = [...units];
  const worker = async () => {
    for (let unit = waiting.shift(); unit !== undefined; unit = waiting.shift())
      outcomes.set(unit, await untilDone(unit, limits.attempts, tell, signal, attempt));
  };
  const workers = Array.from({ length: Math.min(options.concurrent ?? limits.concurrent, units.length) }, worker);
  try {
    await Promise.all(workers);
  } catch (error) {
    ending.abort(error);
    await Promise.allSettled(workers);
    throw error;
  }
  return units.map((unit) => outcomes.get(unit) as UnitOutcome);
}

async function untilDone(
  unit: Unit,
  most: number,
  tell: (change: UnitChange) => void,
  signal: AbortSignal,
  attempt: (unit: Unit, number: number, started: AttemptStarted, signal: AbortSignal) => Promise<AttemptResult>,
): Promise<UnitOutcome> {
  const { id } = unit;
  for (let number = 1; ; number++) {
    const end = (outcome: Pick<UnitOutcome, "state" | "exitCode" | "error">, attempts = number): UnitOutcome => {
      tell({ id, state: outcome.state, attempt: attempts });
      return { id, attempts, ...outcome };
    };
    if (signal.aborted) return end({ state: "cancelled", exitCode: null }, number - 1);
    const started = (place: string) => tell({ id, state: "running", attempt: number, place });
    const result = await attempt(unit, number, started, signal).catch((error: unknown) => {
      if (signal.aborted) return null;
      throw error;
    });
    if (result?.exitCode === 0) return end({ state: "done", exitCode: 0 });
    if (result === null || result.stopped || signal.aborted) return end({ state: "cancelled", exitCode: result?.exitCode ?? null });
    const { exitCode } = result;
    const error = errorIn(result.output);
    if (error !== undefined) return end({ state: "failed", exitCode, error });
    const lost = result.lost ?? `it ended with exit code ${exitCode}`;
    if (number >= most) return end({ state: "failed", exitCode, error: lostForGood(unit, most, lost, result.output) });
    tell({ id, state: "waiting", attempt: number, lost });
  }
}

function lostForGood({ id, command }: Unit, attempts: number, lost: string, output: string) {
  return {
    code: "RLRF_UNIT_LOST",
    message: `${id}: ${lost}, ${attempts} times${printedLast(output)}`,
    where: `rlrf ${command.join(" ")}`,
    expected: "a unit of work that comes to an end",
    hint: "see whether its machine has enough memory; what is done is kept, and the same command goes on from here",
  };
}
