/**
 * Where an executor takes units of a run, the steps that the store lacks are made by it: afterwards every step is simply found in the store, as a
 * resumed run finds it. Without one (executor local, one process) nothing happens here.
 */
import { resolve } from "node:path";
import type { Unit, UnitChange, UnitOutcome } from "../contracts/executor.js";
import { type ErrorCode, errorCodes, type Fault, RlrfError } from "../errors.js";
import { UnitStates } from "../executor/unit-states.js";
import type { Spec } from "../spec/types.js";
import { writeJson } from "../store/files.js";
import { stepKey, stepPath, type Store } from "../store/store.js";
import type { Study } from "./study.js";
import type { StepUnit, UnitWork } from "./units.js";

export const taskStep = "unit";
export const taskFile = "task.json";

/** Everything that another process needs to make a step. */
export interface UnitTask {
  /** Without what concerns the driver alone. */
  readonly spec: Omit<Spec, "executor" | "tracking">;
  /** The prepared data and the engine that the step's key speaks of. */
  readonly data: string;
  readonly engine: string;
  /** Of the driver's engine: sums that more threads share differ in the last digits. */
  readonly threads: number;
  readonly makes: { readonly step: string; readonly key: string };
  readonly work: UnitWork;
}

export function isDistributed({ parts }: Study): boolean {
  return parts.executor.parallel > 1;
}

/**
 * @param wanted asked for only where there is an executor that takes units
 * @throws the coded error of the first unit that failed, RLRF_RUN_CANCELLED, the signal's reason
 */
export async function distribute(study: Study, wanted: () => readonly StepUnit[] | Promise<readonly StepUnit[]>): Promise<void> {
  if (!isDistributed(study)) return;
  const { store, signal, folder } = study.context;
  const states = await UnitStates.open(store, folder.id);
  const missing: { readonly unit: Unit; readonly label: string; readonly makes: UnitTask["makes"] }[] = [];
  for (const wish of await wanted()) {
    const makes = { step: wish.makes.step, key: stepKey(wish.makes) };
    const id = `${states.prefix}${makes.step}-${makes.key.slice(0, 16)}`;
    if ((await store.find(makes.step, makes.key)) !== null) states.found(id);
    else if (!missing.some(({ unit }) => unit.id === id))
      missing.push({ unit: await unitOf(study, id, wish, makes), label: wish.label, makes });
  }
  if (missing.length === 0) return;
  for (const { unit, label, makes } of missing) states.expect(unit.id, { label, makes: stepPath(makes.step, makes.key) });
  const progress = study.context.progress.start("units of work", missing.length, "units");
  const onChange = (change: UnitChange) => {
    states.change(change);
    if (change.lost !== undefined) retried(study, change, states);
    if (change.state === "done") progress.advance();
  };
  try {
    const work = missing.map(({ unit }) => unit);
    const outcomes = await study.parts.executor.run(work, { signal, onChange });
    signal.throwIfAborted();
    mustBeDone(outcomes, states);
  } finally {
    progress.end();
  }
}

async function unitOf(study: Study, id: string, { work, resources }: StepUnit, makes: UnitTask["makes"]): Promise<Unit> {
  const { context, dataKey } = study;
  const { name: engine, threads } = context.engine;
  const task: UnitTask = { spec: specOfUnits(study.spec), data: dataKey, engine, threads, makes, work };
  const kept = await keepTask(context.store, task);
  const command = ["step", kept, "--cache", resolve(context.store.root), "--json", "--quiet"];
  return { id, command, resources };
}

async function keepTask(store: Store, task: UnitTask): Promise<string> {
  const step = await store.step({ step: taskStep, version: 1, inputs: task }, (folder) => writeJson(`${folder}/${taskFile}`, task));
  return step.key;
}

/** A unit is told nothing of the driver's own business: neither of trackers, nor of what samples in the LLM's place. */
function specOfUnits({ executor: _, tracking: __, llm, ...spec }: Spec): UnitTask["spec"] {
  if (llm === undefined) return spec;
  const { sampler: ___, ...own } = llm;
  return { ...spec, llm: own };
}

function retried({ context }: Study, { id, attempt, lost }: UnitChange, states: UnitStates): void {
  context.logger.info(`${states.labelOf(id)}: attempt ${attempt} was lost (${lost}); it is begun again`);
  context.tracker.tags({ [`retried.${id.slice(states.prefix.length)}`]: `attempt ${attempt}: ${lost}`.slice(0, 250) });
}

function mustBeDone(outcomes: readonly UnitOutcome[], states: UnitStates): void {
  const failed = outcomes.filter(({ state }) => state === "failed");
  const first = failed[0]?.error;
  if (first !== undefined) throw errorOf(first, states.labelOf(failed[0]?.id ?? ""), failed.length);
  const [cancelled] = outcomes.filter(({ state }) => state === "cancelled");
  if (cancelled !== undefined)
    throw new RlrfError("RLRF_RUN_CANCELLED", {
      message: `${states.labelOf(cancelled.id)} was ended by somebody else`,
      where: cancelled.id,
      hint: "what is done is kept; the same command goes on from here",
    });
}

/** The unit's own error, as if it had happened here. */
function errorOf({ code, ...fault }: Fault & { readonly code: string }, label: string, failed: number): RlrfError {
  const known = Object.hasOwn(errorCodes, code) ? (code as ErrorCode) : "RLRF_UNIT_LOST";
  const others = failed > 1 ? `; ${failed - 1} more failed` : "";
  return new RlrfError(known, { ...fault, message: `${fault.message} (in ${label}${others})` });
}
