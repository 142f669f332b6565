/** The process in which a model's LLM writes; writer.ts starts it and speaks to it. Argument: the model's folder. */
import { RlrfError } from "../errors.js";
import { assembleSome } from "../kernel/assemble.js";
import { Registry } from "../kernel/registry.js";
import { createAssets } from "../setup/assets.js";
import { Store, stderrLogger } from "../store/store.js";
import { startEngine } from "../tensor/engine.js";
import { loadLlm } from "./llm.js";
import { openModel } from "./model.js";
import { specOf } from "./served-model.js";
import { tellFailed, writeOrders } from "./write-orders.js";

process.on("disconnect", () => process.exit(0)); // the server is gone
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => {}); // Ctrl-C reaches all processes: the server ends this one

try {
  const { llm, generation } = await load(process.argv[2] ?? "");
  await writeOrders(llm, generation);
} catch (error) {
  tellFailed(null, error);
  process.disconnect();
}

async function load(folder: string) {
  const model = await openModel(folder);
  const { llm: written } = model.description;
  const registry = await Registry.read();
  const spec = await specOf(model, registry);
  const engine = await startEngine(spec.engine);
  const logger = stderrLogger;
  const progress = { start: () => ({ advance() {}, end() {} }) };
  const services = { logger, progress, assets: createAssets({ logger, progress }), engine, store: new Store(".rlrf", logger) };
  const { llm } = await assembleSome(spec, registry, services, ["llm"]);
  if (llm === undefined || written === null) throw new RlrfError("RLRF_INTERNAL", { message: "a model without an LLM was to write" });
  await loadLlm(model, llm, written.adapter);
  return { llm, generation: written.generation };
}
