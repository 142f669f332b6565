/** A run in this process, as `rlrf run` does it: many of them share one engine, one registry and one store. */
import type { ProgressTask } from "../../framework/contracts/plugin.js";
import type { Registry } from "../../framework/kernel/registry.js";
import { assemble } from "../../framework/kernel/assemble.js";
import { runExperiment } from "../../framework/method/experiment.js";
import type { Result } from "../../framework/method/result.js";
import { createAssets } from "../../framework/setup/assets.js";
import type { Spec } from "../../framework/spec/types.js";
import { RunFolder } from "../../framework/store/run-folder.js";
import { Store } from "../../framework/store/store.js";
import { startEngine } from "../../framework/tensor/engine.js";
import { openTracker } from "../../framework/track/tracker.js";

const silent = { info: () => undefined, warn: () => undefined };

export interface HereOptions {
  readonly registry: Registry;
  readonly cache: string;
  readonly runs: string;
  readonly signal?: AbortSignal;
  /** Hears of each advance of the progress: "recommender", "iteration-1", … */
  readonly onProgress?: (label: string) => void;
}

/** @returns the result, without the seconds, in which alone two runs of one spec differ */
export async function runHere(spec: Spec, { registry, cache, runs, signal, onProgress }: HereOptions): Promise<Omit<Result, "seconds">> {
  const engine = await startEngine(spec.engine);
  const store = new Store(cache, silent);
  const start = (label: string): ProgressTask => ({ advance: () => onProgress?.(label), end: () => undefined });
  const services = { logger: silent, progress: { start }, assets: createAssets({ logger: silent }), engine, store };
  const folder = await RunFolder.open(runs, spec.name);
  const { tracker, journal } = openTracker(folder.folder, { name: spec.name, experiment: spec.tracking.experiment });
  try {
    const parts = await assemble(spec, registry, services);
    try {
      const context = { ...services, folder, tracker, signal: signal ?? new AbortController().signal };
      const { seconds: _, ...result } = await runExperiment(spec, parts, context);
      return result;
    } finally {
      await parts.dispose();
    }
  } finally {
    journal.close();
    await folder.close();
  }
}
