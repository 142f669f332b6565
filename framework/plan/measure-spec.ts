/** Around the measurements what `rlrf run` puts around the method: engine, parts, a store and a run folder, all of them thrown away. */
import fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Logger, Progress } from "../contracts/plugin.js";
import { assemble } from "../kernel/assemble.js";
import { Registry } from "../kernel/registry.js";
import { createAssets } from "../setup/assets.js";
import { readSpec } from "../spec/read.js";
import { resolveSpec } from "../spec/resolve.js";
import { RunFolder } from "../store/run-folder.js";
import { Store } from "../store/store.js";
import { startEngine } from "../tensor/engine.js";
import { startTracking } from "../track/tracking.js";
import { machineName, measure } from "./measure.js";
import type { Rates } from "./rates.js";

const silent: Progress = { start: () => ({ advance: () => undefined, end: () => undefined }) };

/** @throws what `rlrf run` would throw of the spec, its data and its parts */
export async function measureSpec(file: string, set: readonly string[], logger: Logger): Promise<Rates> {
  const registry = await Registry.read();
  const { spec, hash } = resolveSpec(await readSpec(file, set), registry);
  const engine = await startEngine(spec.engine);
  const begun = performance.now() / 1000;
  const scratch = await fs.mkdtemp(join(tmpdir(), "rlrf-bench-"));
  const store = new Store(join(scratch, "store"), logger);
  const folder = await RunFolder.open(join(scratch, "runs"), "bench");
  const tracking = startTracking(folder.folder, { name: "bench", experiment: "bench", uri: null }, logger);
  try {
    const parts = await assemble(spec, registry, { logger, progress: silent, assets: createAssets({ logger }), engine, store });
    try {
      const context = { store, folder, tracker: tracking.tracker, logger, progress: silent, engine, signal: new AbortController().signal };
      const rates = await measure(spec, parts, context, begun);
      const measured = { at: new Date().toISOString(), spec: `${spec.name} ${hash.slice(0, 12)}`, machine: machineName() };
      return { measured: { ...measured, engine: `${engine.name} ${engine.version}` }, ...rates };
    } finally {
      await parts.dispose();
    }
  } finally {
    await tracking.finish("FINISHED");
    await folder.close();
    await fs.rm(scratch, { recursive: true, force: true });
  }
}
