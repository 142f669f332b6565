/** Runs the trials of a sweep, each an `rlrf run` of its own given to the executor. What is done is found again: a killed sweep goes on where it was. */
import { resolve } from "node:path";
import type { Executor, Unit, UnitOutcome } from "../contracts/executor.js";
import type { Logger } from "../contracts/plugin.js";
import type { UnitStates } from "../executor/unit-states.js";
import { readResult } from "../method/read-result.js";
import type { SweepSettings } from "../spec/sweep.js";
import { writeJson } from "../store/files.js";
import { hashOf } from "../store/hash.js";
import type { RunFolder } from "../store/run-folder.js";
import { journalState } from "../track/state.js";
import type { Sweep, Trial } from "./expand.js";
import { valuesText } from "./expand.js";
import { survivors } from "./halving.js";
import { errorOf, reportOf, rowOf, standingsOf, sweepName, type SweepReport, type TrialRow } from "./report.js";
import { selectionValue } from "./selection.js";

export interface SweepContext {
  readonly executor: Executor;
  readonly folder: RunFolder;
  /** Of the trials, for whoever asks from elsewhere. */
  readonly states: UnitStates;
  /** The store that all trials share. */
  readonly cache: string;
  /** Further arguments of every trial's `rlrf run`. */
  readonly flags: readonly string[];
  /** Of the sweep's own run: its trials are below it. */
  readonly key: string;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** @throws the signal's reason when it is interrupted; what the executor throws when that fails as a whole */
export async function runTrials(sweep: Sweep, context: SweepContext): Promise<SweepReport> {
  const running = new RunningSweep(sweep, context);
  await running.save();
  for (const [index] of sweep.rungs.entries()) await running.rung(index + 1);
  await running.save();
  return running.report();
}

class RunningSweep {
  private readonly rows: Map<string, TrialRow>;
  private saving: Promise<void> = Promise.resolve();
  private next: Promise<void> | null = null;

  constructor(
    private readonly sweep: Sweep,
    private readonly context: SweepContext,
  ) {
    this.rows = new Map(sweep.trials.map((trial) => [trial.id, rowOf(trial)]));
  }

  report(): SweepReport {
    return reportOf(this.sweep, [...this.rows.values()]);
  }

  /** One at a time; changes that come while one is being written wait for the next, together. @throws RLRF_DISK_FULL, RLRF_FILE_DENIED */
  save(): Promise<void> {
    if (this.next !== null) return this.next;
    this.next = this.saving.then(() => {
      this.next = null;
      return writeJson(this.context.folder.path(sweepName), this.report());
    });
    this.saving = this.next.catch(() => undefined); // whoever waits for it hears of it
    return this.next;
  }

  /** @param rung from 1 */
  async rung(rung: number): Promise<void> {
    const { context } = this;
    context.signal.throwIfAborted();
    const todo: Trial[] = [];
    const standings = rung === 1 ? null : survivors(standingsOf([...this.rows.values()], rung - 1), this.factor);
    for (const trial of this.sweep.trials.filter((own) => own.rung === rung)) {
      if (standings !== null && !standings.includes(trial.point)) this.change(trial, { state: "left out" });
      else if (await this.found(trial)) context.states.found(this.unitId(trial));
      else todo.push(trial);
    }
    await this.save();
    if (todo.length > 0) await this.run(todo);
  }

  private get factor(): number {
    return this.sweep.settings.budget?.factor ?? 1;
  }

  private async run(todo: readonly Trial[]): Promise<void> {
    const { executor, folder, states, logger, signal } = this.context;
    const units: Unit[] = [];
    for (const trial of todo) {
      units.push(await this.unitOf(trial));
      states.expect(this.unitId(trial), {
        label: `${trial.id}  ${valuesText(trial)}`.trimEnd(),
        makes: folder.path(rowOf(trial).run, "result.json"),
      });
    }
    const byUnit = new Map(units.map(({ id }, i) => [id, todo[i] as Trial]));
    const pending: Promise<void>[] = [];
    const unkept = new AbortController(); // what cannot be written down ends the trials
    const keep = (work: Promise<void>) => void pending.push(work.catch((error: unknown) => unkept.abort(error)));
    const running = executor.run(units, {
      concurrent: this.sweep.settings.maxConcurrent,
      signal: AbortSignal.any([signal, unkept.signal]),
      onChange: (change) => {
        const { id, state, attempt, place, lost } = change;
        const trial = byUnit.get(id);
        if (trial === undefined) return;
        states.change(change);
        if (lost !== undefined) logger.info(`${trial.id}  begins again after attempt ${attempt}: ${lost}`);
        if (state === "running") logger.info(`${trial.id}  ${place ?? "running"}  ${valuesText(trial)}`);
        if (state === "waiting" || state === "running") this.change(trial, { state });
        keep(state === "done" ? this.takeUp(trial) : this.save());
      },
    });
    const outcomes = await running.catch(async (error: unknown) => {
      for (const trial of todo) if (this.rows.get(trial.id)?.state === "running") this.change(trial, { state: "waiting" });
      await this.save();
      throw error;
    });
    await Promise.all(pending);
    unkept.signal.throwIfAborted();
    for (const outcome of outcomes) this.settle(byUnit.get(outcome.id) as Trial, outcome);
    await this.save();
    folder.path(); // still ours
    signal.throwIfAborted();
  }

  private settle(trial: Trial, { id, state, attempts, error }: UnitOutcome): void {
    if (state === "cancelled") this.change(trial, { state: "waiting" });
    else if (state === "failed") this.fail(trial, errorOf(error));
    else if (this.rows.get(trial.id)?.state !== "done") {
      this.context.states.change({ id, state: "failed", attempt: attempts });
      const where = this.context.folder.path(rowOf(trial).run);
      this.fail(trial, errorOf({ code: "RLRF_RESULT_FILE", message: `it ended, and left no result in ${where}` }));
    }
  }

  private fail(trial: Trial, error: NonNullable<TrialRow["error"]>): void {
    this.change(trial, { state: "failed", error });
    this.context.logger.warn(error.code, `${trial.id} failed (${valuesText(trial)}): ${error.message}`);
  }

  /** What of a trial that has just ended is there to tell. */
  private async takeUp(trial: Trial): Promise<void> {
    if (await this.found(trial)) await this.tell(trial);
  }

  /** Takes up the result of a trial that has ended, now or in an earlier process. */
  private async found(trial: Trial): Promise<boolean> {
    const folder = this.context.folder.path(rowOf(trial).run);
    const state = await journalState(folder);
    if (state?.status !== "FINISHED") return false; // it may have been killed before everything was told
    const result = await readResult(folder).catch(() => null);
    if (result === null || result.specHash !== trial.resolved.hash) return false;
    const { metric } = this.sweep;
    this.change(trial, { state: "done", arms: result.arms, selection: metric === null ? null : selectionValue(result, metric) });
    return true;
  }

  private async tell(trial: Trial): Promise<void> {
    const rows = [...this.rows.values()];
    const done = rows.filter(({ state }) => state === "done").length;
    const { selection } = this.rows.get(trial.id) ?? rowOf(trial);
    const left = rows.filter(({ state }) => state === "waiting" || state === "running").length;
    this.context.logger.info(
      `${trial.id}  done${selection === null ? "" : `, ${selection.toFixed(4)}`}  (${done} done, ${left} to go${this.sweep.rungs.length > 1 ? " at most" : ""})`,
    );
    await this.save();
  }

  private change(trial: Trial, change: Partial<TrialRow>): void {
    this.rows.set(trial.id, { ...(this.rows.get(trial.id) ?? rowOf(trial)), ...change });
  }

  /** Its result lies in this sweep's folder: the same trial under another folder of runs is another unit, whose job is not to be taken for this one's. */
  private unitId({ id }: Trial): string {
    const { states, folder } = this.context;
    return `${states.prefix}${hashOf(folder.folder).slice(0, 8)}.${id}`;
  }

  private async unitOf(trial: Trial): Promise<Unit> {
    const { folder, key, cache, flags } = this.context;
    const { executor: _, ...spec } = trial.resolved.spec; // a trial is itself the unit that is distributed
    const path = folder.path("specs", `${trial.id}.json`);
    await writeJson(path, { ...spec, tracking: { ...spec.tracking, run: `${key}/${trial.id}` } });
    const command = ["run", path, "--runs", folder.path("trials"), "--cache", resolve(cache), ...flags, "--wait", "--quiet", "--json"];
    return { id: this.unitId(trial), command, resources: resourcesOf(this.sweep.settings) };
  }
}

function resourcesOf({ resources: { cpus, gpus, memory } }: SweepSettings): Unit["resources"] {
  return { cpus, gpus, memoryBytes: memory };
}
