/** The process in which a model's LLM writes; writer.ts starts it and speaks to it. Argument: the model's folder. */
import type { GenerationRequest, LlmBackend } from "../contracts/llm.js";
import { RlrfError } from "../errors.js";
import { assembleSome } from "../kernel/assemble.js";
import { Registry } from "../kernel/registry.js";
import { createAssets } from "../setup/assets.js";
import { Store, stderrLogger } from "../store/store.js";
import { startEngine } from "../tensor/engine.js";
import { loadLlm } from "./llm.js";
import { openModel } from "./model.js";
import { specOf } from "./served-model.js";
import type { Order, Report } from "./writer.js";

/** Prompts answered side by side: a decoder takes little longer over some than over one. */
const together = 16;

const waiting: Order[] = [];
let wake: () => void = () => {};

process.on("message", (order: Order) => {
  waiting.push(order);
  wake();
});
process.on("disconnect", () => process.exit(0)); // the server is gone
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => {}); // Ctrl-C reaches all processes: the server ends this one

try {
  const { llm, generation } = await load(process.argv[2] ?? "");
  tell({ event: "ready" });
  for (;;) {
    while (waiting.length === 0) await new Promise<void>((resolve) => (wake = resolve));
    await answer(llm, generation, waiting.splice(0, together));
  }
} catch (error) {
  fail(null, error);
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

async function answer(llm: LlmBackend, generation: Parameters<LlmBackend["generate"]>[1], orders: readonly Order[]): Promise<void> {
  const requests = orders.map(({ user, messages }): GenerationRequest => ({ user, messages, samples: 1, seed: 0 }));
  try {
    await llm.generate(requests, generation, (i, [written]) => {
      const id = orders[i]?.id;
      if (id !== undefined && written !== undefined) tell({ event: "text", id, text: written.text });
    });
  } catch (error) {
    if (orders.length === 1) fail(orders[0]?.id ?? null, error);
    else for (const order of orders) await answer(llm, generation, [order]); // one prompt that is too long ends all of a call
  }
}

function fail(id: number | null, error: unknown): void {
  const coded = error instanceof RlrfError ? error : new RlrfError("RLRF_INTERNAL", { message: error instanceof Error ? error.message : String(error) }); // biome-ignore format: one line
  tell({ event: "failed", id, code: coded.code, fault: coded.fault });
}

function tell(report: Report): void {
  process.send?.(report);
}
