/** What `rlrf step` does around one step: reads its task, starts the engine, wires the parts, and frees everything again. */
import { assemble } from "../kernel/assemble.js";
import { Registry } from "../kernel/registry.js";
import { doUnit, readTask } from "../method/do-unit.js";
import { createAssets } from "../setup/assets.js";
import { resolveSpec } from "../spec/resolve.js";
import type { Json } from "../spec/json.js";
import { specFromValue } from "../spec/read.js";
import { Store } from "../store/store.js";
import { startEngine } from "../tensor/engine.js";
import { interruption } from "./interrupt.js";
import { createProgress } from "./progress.js";
import { createLogger, printJson } from "./terminal.js";

interface StepOptions {
  readonly cache: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export async function makeStep(key: string, { cache, json = false, quiet = false }: StepOptions): Promise<void> {
  const signal = interruption();
  const logger = createLogger({ quiet });
  const progress = createProgress({ quiet });
  const store = new Store(cache, logger, signal);
  const task = await readTask(store, key);
  const registry = await Registry.read();
  const { spec } = resolveSpec(specFromValue(task.spec as unknown as Json, "the task"), registry);
  process.env.RLRF_THREADS = `${task.threads}`; // whatever is usual on this machine
  const engine = await startEngine(spec.engine);
  const parts = await assemble(spec, registry, { logger, progress, assets: createAssets({ logger, progress }), engine, store });
  try {
    await doUnit(task, spec, parts, { store, logger, progress, engine, signal });
  } finally {
    await parts.dispose();
  }
  if (json) printJson(task.makes);
}
