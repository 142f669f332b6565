/** What `rlrf serve` does: checks the model, listens, loads it, and answers until it is told to end. */
import * as tf from "@tensorflow/tfjs-core";
import type { Logger } from "../contracts/plugin.js";
import { RlrfError } from "../errors.js";
import { Registry } from "../kernel/registry.js";
import { fetchModel, isRegistered } from "../serving/fetch.js";
import { mustScoreAsPromoted } from "../serving/agreement.js";
import { Metrics } from "../serving/metrics.js";
import { type Model, openModel } from "../serving/model.js";
import { ServedModel, specOf } from "../serving/served-model.js";
import { Server, type ServerLimits } from "../serving/server.js";
import { Service } from "../serving/service.js";
import type { textSources } from "../serving/sources.js";
import { Texts } from "../serving/texts.js";
import { Writer } from "../serving/writer.js";
import { createAssets } from "../setup/assets.js";
import { Store } from "../store/store.js";
import { type EngineInfo, startEngine } from "../tensor/engine.js";
import { MlflowClient } from "../track/mlflow.js";
import { trackingUri } from "../track/tracking.js";
import { interruption } from "./interrupt.js";
import { createProgress } from "./progress.js";
import { createLogger, print } from "./terminal.js";

export interface ServeOptions {
  readonly from?: string;
  readonly host: string;
  readonly port: number;
  readonly texts: readonly (typeof textSources)[number][];
  readonly llmWait: number;
  readonly llmTimeout: number;
  readonly llmQueue: number;
  readonly maxBody: number;
  readonly maxHistory: number;
  readonly maxCandidates: number;
  readonly maxPending: number;
  readonly receiveTimeout: number;
  readonly answerTimeout: number;
  readonly drain: number;
  readonly quiet?: boolean;
}

/** Lists are small: a second thread would cost more than it gains, and the LLM's process has use for it. */
const threads = 1;

export async function serveModel(name: string, options: ServeOptions): Promise<void> {
  const { host, port, quiet = false } = options;
  const logger = createLogger({ quiet });
  const signal = interruption();
  const registry = await Registry.read();
  const { model, version } = await modelOf(name, options, logger);
  const { engine } = await specOf(model, registry); // a wrong one is told before anything listens
  let writer: Writer | null = null;
  const gauges = () => ({ rlrf_tensors: tf.memory().numTensors, rlrf_texts_waiting: writer?.waiting ?? 0 });
  const metrics = new Metrics(() => infoOf(model, version), gauges);
  const server = await Server.listen({ host, port, limits: limitsOf(options) }, metrics, logger);
  let served: ServedModel | undefined;
  try {
    served = await load(model, registry, await startEngine(engine, threads), logger, quiet);
    writer = await writerOf(model, options, logger);
    const texts = new Texts(served, writer, { sources: options.texts, wait: options.llmWait * 1000 }, logger);
    server.serve(await Service.open(served, texts, { history: options.maxHistory, candidates: options.maxCandidates }, version));
    print(
      `serving ${model.description.name}${version === null ? "" : ` version ${version}`} (arm ${model.description.arm}) at ${server.address}/rerank`,
    );
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  } finally {
    await server.end();
    writer?.close();
    await served?.dispose();
  }
}

function limitsOf({ maxBody, maxPending, receiveTimeout, answerTimeout, drain }: ServeOptions): ServerLimits {
  return { body: maxBody, pending: maxPending, receive: receiveTimeout * 1000, answer: answerTimeout * 1000, drain: drain * 1000 };
}

async function writerOf(model: Model, { texts, llmQueue, llmTimeout }: ServeOptions, logger: Logger): Promise<Writer | null> {
  if (model.description.llm === null || !texts.includes("llm")) return null;
  return Writer.start(model.folder, { queue: llmQueue, timeout: llmTimeout * 1000 }, logger);
}

async function load(model: Model, registry: Registry, engine: EngineInfo, logger: Logger, quiet: boolean): Promise<ServedModel> {
  const progress = createProgress({ quiet });
  logger.info(`engine: ${engine.name} ${engine.version} on ${engine.devices.join(", ")} (${engine.reason})`);
  const services = { logger, progress, assets: createAssets({ logger, progress }), engine, store: new Store(".rlrf", logger) };
  const served = await ServedModel.load(model, registry, services);
  const { lists, largest } = await mustScoreAsPromoted(served, 50);
  logger.info(`tried: ${lists} lists score as they did when it was promoted (apart by ${largest.toExponential(1)} at most)`);
  return served;
}

function infoOf({ description: { name, arm, run, specHash }, digest }: Model, version: string | null): Record<string, string> {
  return { name, version: version ?? "", arm, run, spec: specHash, digest };
}

/** `version`: in MLflow's registry; null for a folder. */
async function modelOf(
  name: string,
  { from }: ServeOptions,
  logger: Logger,
): Promise<{ readonly model: Model; readonly version: string | null }> {
  if (!isRegistered(name)) return { model: await openModel(name), version: null };
  const uri = trackingUri(from);
  if (uri === null)
    throw new RlrfError("RLRF_TRACK_URI", { message: "no MLflow server is named", expected: "--from URI, or MLFLOW_TRACKING_URI" });
  const client = new MlflowClient(uri, { logger });
  try {
    return await fetchModel(name, client, logger);
  } finally {
    client.close();
  }
}
