/** What `rlrf run` does with a spec that has a sweep: validates every trial, gives them to the executor, and shows the table. */
import { relative } from "node:path";
import { UnitStates } from "../executor/unit-states.js";
import { assembleSome } from "../kernel/assemble.js";
import { Registry } from "../kernel/registry.js";
import { createAssets } from "../setup/assets.js";
import { isFrozenByDefault, mustBeLocked } from "../sharing/run-lock.js";
import { runId } from "../spec/hash.js";
import { missingHere } from "../spec/here.js";
import type { SpecSource } from "../spec/origins.js";
import type { Spec } from "../spec/types.js";
import { writeJson } from "../store/files.js";
import { RunFolder } from "../store/run-folder.js";
import { storeRoot } from "../store/root.js";
import { Store } from "../store/store.js";
import { expandSweep, type Sweep } from "../sweep/expand.js";
import { type SweepReport, sweepName } from "../sweep/report.js";
import { runTrials } from "../sweep/run.js";
import { startTracking, trackingUri } from "../track/tracking.js";
import { AlreadyReported } from "./command.js";
import { cancellation, endedEarly } from "./interrupt.js";
import { createProgress } from "./progress.js";
import { reportRun } from "./run-report.js";
import type { RunOptions } from "./run-spec.js";
import { sweepText } from "./sweep-text.js";
import { createLogger, print, printJson } from "./terminal.js";

export async function runSweep(source: SpecSource, options: RunOptions): Promise<void> {
  const { signal, cancel } = cancellation();
  const logger = createLogger(options);
  const registry = await Registry.read();
  const sweep = expandSweep(source, registry, [missingHere]);
  if (sweep === null) throw new Error("a spec without a sweep"); // the caller has looked
  if (options.frozen ?? isFrozenByDefault()) for (const { resolved } of sweep.trials) await mustBeLocked(resolved.spec, registry);
  const store = new Store(cacheOf(sweep, options), logger, signal);
  await store.mustBeWritable();
  const onWait = (pid: string, machine: string) => logger.info(`process ${pid} on ${machine} runs this sweep; waiting for it`);
  const folder = await RunFolder.open(options.runs, runId(sweep, sweep.hash), options.wait ? { onWait, signal } : undefined);
  const shown = relative(process.cwd(), folder.folder) || folder.folder;
  logger.info(`sweep: ${shown}, ${sweep.trials.length} trials`);
  try {
    const states = await UnitStates.open(store, folder.id);
    const report = await inFolder(sweep, source, { registry, options, folder, states, signal, cancel });
    if (options.json) printJson({ folder: folder.folder, ...report });
    else print(sweepText(report, shown));
    const failed = report.trials.filter(({ state }) => state === "failed").length;
    if (failed > 0) {
      process.stderr.write(
        `RLRF_SWEEP_FAILED: ${failed} of ${report.trials.length} trials failed\n  to do     mend what they say and give the same command again: what is done is found\n`,
      );
      throw new AlreadyReported(1);
    }
  } catch (error) {
    throw endedEarly(error, signal, logger);
  } finally {
    await folder.close();
  }
}

/** One of the trials' specs: where they are tracked, kept and done is the same for all, since no axis leads there. */
function sharedSpec({ trials }: Sweep): Spec {
  return (trials[0] as Sweep["trials"][number]).resolved.spec; // there is at least one
}

function cacheOf(sweep: Sweep, { cache }: RunOptions): string {
  return storeRoot(sharedSpec(sweep), cache);
}

interface Environment {
  readonly registry: Registry;
  readonly options: RunOptions;
  readonly folder: RunFolder;
  readonly states: UnitStates;
  readonly signal: AbortSignal;
  /** Aborts the signal. */
  readonly cancel: (reason: Error) => void;
}

async function inFolder(sweep: Sweep, source: SpecSource, environment: Environment): Promise<SweepReport> {
  const { registry, options, folder, states, signal, cancel } = environment;
  const logger = createLogger(options);
  const spec = sharedSpec(sweep);
  const { experiment, uri } = spec.tracking;
  const target = { name: sweep.name, experiment, kind: "sweep", uri: trackingUri(uri) };
  const { tracker, key, finish } = startTracking(folder.folder, target, logger, { signal });
  let ended = false;
  try {
    const path = folder.path("spec.json");
    await writeJson(path, source.value);
    tracker.artifact(path);
    tracker.params({ sweep: sweep.settings });
    tracker.tags({ specHash: sweep.hash });
    const progress = createProgress(options);
    const services = { logger, progress, assets: createAssets({ logger, progress }) };
    const { executor, dispose } = await assembleSome(spec, registry, services, ["executor"]);
    try {
      await executor.prepare?.();
      const flags = options.frozen === undefined ? [] : [options.frozen ? "--frozen" : "--no-frozen"];
      const context = { executor, folder, states, cache: cacheOf(sweep, options), flags, key, logger, signal };
      const report = await states.drive(spec.executor, cancel, () => runTrials(sweep, context));
      if (report.best !== null) tracker.metrics({ "best/selection": report.best.selection });
      if (report.best !== null) tracker.tags({ best: report.best.trials.join(", ") });
      tracker.artifact(folder.path(sweepName));
      await reportRun(folder, tracker, logger);
      folder.path(); // what the table speaks of is there
      ended = true;
      return report;
    } finally {
      await dispose();
    }
  } finally {
    await finish(signal.aborted ? "KILLED" : ended ? "FINISHED" : "FAILED");
  }
}
