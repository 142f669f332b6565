/** What `rlrf serve` does: checks the model, listens, loads it, and answers until it is told to end. */
import * as tf from "@tensorflow/tfjs-core";
import type { Logger } from "../contracts/plugin.js";
import { Registry } from "../kernel/registry.js";
import { mustScoreAsPromoted } from "../serving/agreement.js";
import { Metrics } from "../serving/metrics.js";
import { type Model, openModel } from "../serving/model.js";
import { ServedModel, specOf } from "../serving/served-model.js";
import { Server } from "../serving/server.js";
import { Service } from "../serving/service.js";
import type { textSources } from "../serving/sources.js";
import { Texts } from "../serving/texts.js";
import { createAssets } from "../setup/assets.js";
import { Store } from "../store/store.js";
import { type EngineInfo, startEngine } from "../tensor/engine.js";
import { interruption } from "./interrupt.js";
import { createProgress } from "./progress.js";
import { createLogger, print } from "./terminal.js";

export interface ServeOptions {
  readonly from?: string;
  readonly host: string;
  readonly port: number;
  readonly texts: readonly (typeof textSources)[number][];
  readonly maxBody: number;
  readonly maxHistory: number;
  readonly maxCandidates: number;
  readonly maxPending: number;
  readonly receiveTimeout: number;
  readonly drain: number;
  readonly quiet?: boolean;
}

export async function serveModel(name: string, options: ServeOptions): Promise<void> {
  const { host, port, quiet = false } = options;
  const logger = createLogger({ quiet });
  const signal = interruption();
  const registry = await Registry.read();
  const model = await openModel(name);
  const { engine } = await specOf(model, registry); // a wrong one is told before anything listens
  const metrics = new Metrics(() => infoOf(model), () => ({ rlrf_tensors: tf.memory().numTensors })); // biome-ignore format: one line
  const limits = {
    body: options.maxBody,
    pending: options.maxPending,
    receive: options.receiveTimeout * 1000,
    drain: options.drain * 1000,
  };
  const server = await Server.listen({ host, port, limits }, metrics, logger);
  let served: ServedModel | undefined;
  try {
    served = await load(model, registry, await startEngine(engine), logger, quiet);
    const service = await Service.open(served, new Texts(served, options.texts), { history: options.maxHistory, candidates: options.maxCandidates }, null); // biome-ignore format: one line
    server.serve(service);
    print(`serving ${model.description.name} (arm ${model.description.arm}) at ${server.address}/rerank`);
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  } finally {
    await server.end();
    await served?.dispose();
  }
}

async function load(model: Model, registry: Registry, engine: EngineInfo, logger: Logger, quiet: boolean): Promise<ServedModel> {
  const progress = createProgress({ quiet });
  logger.info(`engine: ${engine.name} ${engine.version} on ${engine.devices.join(", ")} (${engine.reason})`);
  const services = { logger, progress, assets: createAssets({ logger, progress }), engine, store: new Store(".rlrf", logger) };
  const served = await ServedModel.load(model, registry, services);
  const { lists, largest } = await mustScoreAsPromoted(served);
  logger.info(`tried: ${lists} lists score as they did when it was promoted (apart by ${largest.toExponential(1)} at most)`);
  return served;
}

function infoOf({ description: { name, arm, run, specHash }, digest }: Model): Record<string, string> {
  return { name, arm, run, spec: specHash, digest };
}
