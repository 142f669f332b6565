/** What `rlrf run` does around the method: resolves the spec, starts the engine, wires the parts, and frees everything again. */
import { relative } from "node:path";
import type { Logger, Progress } from "../contracts/plugin.js";
import { RlrfError } from "../errors.js";
import { UnitStates } from "../executor/unit-states.js";
import { assemble } from "../kernel/assemble.js";
import { Registry } from "../kernel/registry.js";
import { runExperiment } from "../method/experiment.js";
import type { Result } from "../method/result.js";
import { createAssets } from "../setup/assets.js";
import { isFrozenByDefault, mustBeLocked, recordLock } from "../sharing/run-lock.js";
import { runId } from "../spec/hash.js";
import { missingHere } from "../spec/here.js";
import { originTexts, type SpecSource } from "../spec/origins.js";
import { type ResolvedSpec, resolveSpec } from "../spec/resolve.js";
import { writeJson } from "../store/files.js";
import { storeRoot } from "../store/root.js";
import { RunFolder } from "../store/run-folder.js";
import { Store } from "../store/store.js";
import { type EngineInfo, startEngine } from "../tensor/engine.js";
import type { Tracker } from "../track/tracker.js";
import { startTracking, trackingUri } from "../track/tracking.js";
import { cancellation, endedEarly } from "./interrupt.js";
import { createProgress, duration } from "./progress.js";
import { resultText } from "./result-text.js";
import { reportRun } from "./run-report.js";
import { createLogger, print, printJson } from "./terminal.js";

export interface RunOptions {
  readonly set: readonly string[];
  readonly runs: string;
  readonly cache?: string;
  readonly frozen?: boolean;
  /** For another process that writes the same run. */
  readonly wait?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

interface Environment {
  readonly registry: Registry;
  readonly logger: Logger;
  readonly progress: Progress;
  readonly engine: EngineInfo;
  readonly store: Store;
  readonly signal: AbortSignal;
  /** Aborts the signal. */
  readonly cancel: (reason: Error) => void;
}

export async function runSpec(source: SpecSource, options: RunOptions): Promise<void> {
  const begun = performance.now();
  const { signal, cancel } = cancellation();
  const { quiet = false } = options;
  const logger = createLogger({ quiet });
  const registry = await Registry.read();
  const resolved = resolveSpec(source, registry, [missingHere]);
  if (options.frozen ?? isFrozenByDefault()) await mustBeLocked(resolved.spec, registry);
  const engine = await startEngine(resolved.spec.engine);
  logger.info(`engine: ${engine.name} ${engine.version} on ${engine.devices.join(", ")} (${engine.reason})`);
  const store = new Store(storeRoot(resolved.spec, options.cache), logger, signal);
  await store.mustBeWritable();
  const environment = { registry, logger, progress: createProgress({ quiet }), engine, store, signal, cancel };
  const onWait = (pid: string, machine: string) => logger.info(`process ${pid} on ${machine} writes this run; waiting for it`);
  const folder = await RunFolder.open(options.runs, runId(resolved.spec, resolved.hash), options.wait ? { onWait, signal } : undefined);
  const shown = relative(process.cwd(), folder.folder) || folder.folder;
  logger.info(`run: ${shown}`);
  try {
    const { result, tracked } = await inFolder(resolved, folder, environment);
    if (options.json) printJson({ folder: folder.folder, ...result });
    else
      print(
        resultText(result, {
          folder: shown,
          uri: trackingUri(resolved.spec.tracking.uri),
          tracked,
          seconds: duration((performance.now() - begun) / 1000),
        }),
      );
  } catch (error) {
    throw endedEarly(error, signal, logger);
  } finally {
    await folder.close();
  }
}

/** `tracked`: an MLflow server has everything. */
async function inFolder(
  { spec, hash, origins }: ResolvedSpec,
  folder: RunFolder,
  environment: Environment,
): Promise<{ readonly result: Result; readonly tracked: boolean }> {
  const { logger, engine, signal } = environment;
  const { experiment, uri, run: key } = spec.tracking;
  const tracking = startTracking(folder.folder, { name: spec.name, experiment, uri: trackingUri(uri), key }, logger, { signal });
  let finished = false;
  let cancelled = false;
  const finish = () => tracking.finish(signal.aborted || cancelled ? "KILLED" : finished ? "FINISHED" : "FAILED");
  try {
    const path = folder.path("spec.json");
    const from = folder.path("origins.json");
    await writeJson(path, spec);
    await writeJson(from, originTexts(spec, origins));
    tracking.tracker.params({ ...spec });
    tracking.tracker.tags({ specHash: hash, engine: engine.name, engineVersion: engine.version, engineReason: engine.reason });
    for (const artifact of [path, from, ...(await recordLock(folder, spec, environment.registry))]) tracking.tracker.artifact(artifact);
    const result = await assembled(spec, folder, tracking.tracker, environment);
    await reportRun(folder, tracking.tracker, logger);
    folder.path(); // what the summary speaks of is there
    finished = true;
    return { result, tracked: (await finish()).complete };
  } catch (error) {
    cancelled = error instanceof RlrfError && error.code === "RLRF_RUN_CANCELLED";
    throw error;
  } finally {
    if (!finished) await finish();
  }
}

/** What was made elsewhere, and what had to be begun again. */
function tellUnits(states: UnitStates, tracker: Tracker, logger: Logger): void {
  const units = states.all();
  const again = units.filter(({ lost }) => lost.length > 0);
  logger.info(`${units.length} units of work, ${again.length} of them begun again`);
  for (const { label, lost } of again) logger.info(`  ${label}: ${lost.join("; ")}`);
  tracker.metrics({ "units/all": units.length, "units/begun again": again.length });
}

async function assembled(spec: ResolvedSpec["spec"], folder: RunFolder, tracker: Tracker, environment: Environment): Promise<Result> {
  const { registry, logger, progress, engine, store, signal, cancel } = environment;
  const parts = await assemble(spec, registry, { logger, progress, assets: createAssets({ logger, progress }), engine, store });
  try {
    await parts.executor.prepare?.();
    const run = () => runExperiment(spec, parts, { store, folder, tracker, logger, progress, engine, signal });
    if (parts.executor.parallel === 1) return await run();
    const states = await UnitStates.open(store, folder.id);
    const result = await states.drive(spec.executor, cancel, run);
    tellUnits(states, tracker, logger);
    return result;
  } finally {
    await parts.dispose();
  }
}
