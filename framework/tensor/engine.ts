/** Which of the tensor engines runs this process, and why: TensorFlow's own library, else WebAssembly, else plain JavaScript. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism, totalmem } from "node:os";
import util from "node:util";
import * as tf from "@tensorflow/tfjs-core";
import { RlrfError } from "../errors.js";
import { quietPath } from "../setup/engine.js";
import { registerTensorFlowKernels } from "./tensorflow-kernels.js";
import { registerCpuKernels, registerWasmKernels } from "./wasm-kernels.js";

const names = ["tensorflow", "wasm", "cpu"] as const;
export type EngineName = (typeof names)[number];

export interface EngineInfo {
  readonly name: EngineName;
  /** Of the library that computes: TensorFlow's, or tfjs'. */
  readonly version: string;
  readonly devices: readonly string[];
  /** Threads that one op may use. RLRF_THREADS sets it for TensorFlow, before the engine starts. */
  readonly threads: number;
  /** Bytes that all tensors together may take; null = a GPU's, of which its library tells. */
  readonly memory: number | null;
  /** Why this one, and why not those before it. */
  readonly reason: string;
}

const require = createRequire(import.meta.url);
const started = new Map<EngineName, Omit<EngineInfo, "reason">>();
let current: EngineInfo | undefined;
let wantedThreads: string | undefined;

/**
 * Starts the tensor engine and makes it tfjs' current backend. Asking again for "auto" or for the same engine returns what runs already.
 * @param wanted "auto" takes the first that starts; another name forces one. RLRF_ENGINE stands in for "auto".
 * @param threads of TensorFlow's ops, where RLRF_THREADS says nothing and it has not started yet
 * @throws RLRF_ENGINE_UNKNOWN, RLRF_ENGINE_UNAVAILABLE, RLRF_ENGINE_THREADS
 */
export async function startEngine(wanted: "auto" | EngineName = "auto", threads?: number): Promise<EngineInfo> {
  wantedThreads = threadsOf(process.env.RLRF_THREADS) ?? threads?.toString();
  const fromEnvironment = wanted === "auto" && process.env.RLRF_ENGINE ? process.env.RLRF_ENGINE : undefined;
  const forced = asEngineName(fromEnvironment ?? wanted);
  if (current !== undefined && (forced === null || forced === current.name)) return current;
  tf.enableProdMode(); // no checks for NaN, no banner
  const by = fromEnvironment === undefined ? "the spec or caller asks for it" : "RLRF_ENGINE asks for it";
  current = forced === null ? await startFirst() : { ...(await startForced(forced)), reason: by };
  return current;
}

/** Far beyond what any op gains from; TensorFlow would start as many as it is told. */
const mostThreads = 1024;

function threadsOf(value: string | undefined): string | undefined {
  if (!value) return undefined;
  if (/^[1-9]\d{0,3}$/.test(value) && Number(value) <= mostThreads) return value;
  throw new RlrfError("RLRF_ENGINE_THREADS", {
    message: `${JSON.stringify(value)} is no number of threads`,
    where: "environment variable RLRF_THREADS",
    expected: `a whole number from 1 to ${mostThreads}`,
    hint: "set it to one, or unset it to let TensorFlow take every core",
  });
}

function asEngineName(name: string): EngineName | null {
  if (name === "auto") return null;
  const known = names.find((candidate) => candidate === name);
  if (known !== undefined) return known;
  const variable = process.env.RLRF_ENGINE === name;
  const expected = `one of auto, ${names.join(", ")}`;
  throw new RlrfError("RLRF_ENGINE_UNKNOWN", {
    message: `there is no tensor engine ${JSON.stringify(name)}`,
    where: variable ? "environment variable RLRF_ENGINE" : "the engine asked for",
    expected,
    ...(variable && { hint: `set RLRF_ENGINE to ${expected}, or unset it` }),
  });
}

async function startFirst(): Promise<EngineInfo> {
  const failures: string[] = [];
  for (const name of names) {
    try {
      const engine = await start(name);
      return { ...engine, reason: ["the fastest that starts here", ...failures].join("; ") };
    } catch (error) {
      failures.push(`${name} does not start: ${messageOf(error)}`);
    }
  }
  throw new RlrfError("RLRF_ENGINE_UNAVAILABLE", {
    message: `no tensor engine starts: ${failures.join("; ")}`,
    hint: "run `npm run setup`",
  });
}

async function startForced(name: EngineName): Promise<Omit<EngineInfo, "reason">> {
  try {
    return await start(name);
  } catch (error) {
    throw new RlrfError(
      "RLRF_ENGINE_UNAVAILABLE",
      {
        message: `the tensor engine "${name}" does not start: ${messageOf(error)}`,
        hint:
          name === "tensorflow" ? "run `npm run setup`, which says what is missing, or ask for another engine" : "ask for another engine",
      },
      { cause: error },
    );
  }
}

async function start(name: EngineName): Promise<Omit<EngineInfo, "reason">> {
  const known = started.get(name);
  const engine = known ?? (await { tensorflow: startTensorFlow, wasm: startWasm, cpu: startCpu }[name]());
  if (!(await tf.setBackend(name))) throw new Error(`tfjs could not start its backend "${name}"`);
  started.set(name, engine);
  return engine;
}

async function startTensorFlow(): Promise<Omit<EngineInfo, "reason">> {
  process.env.TF_CPP_MIN_LOG_LEVEL ??= "2"; // errors only
  if (wantedThreads !== undefined) process.env.TF_NUM_INTRAOP_THREADS = wantedThreads;
  // tfjs-node calls two helpers that Node 23 dropped.
  const helpers = util as { isNullOrUndefined?: (value: unknown) => boolean; isArray?: (value: unknown) => boolean };
  helpers.isNullOrUndefined ??= (value) => value === null || value === undefined;
  helpers.isArray ??= Array.isArray;
  muted(() => {
    require("@tensorflow/tfjs-node-gpu");
    // The first op of TensorFlow's eager runtime also speaks.
    tf.tidy(() => tf.add(tf.scalar(1), tf.scalar(1)).dataSync());
  });
  registerTensorFlowKernels();
  const backend = tf.backend() as tf.KernelBackend & { binding: { TF_Version: string }; isUsingGpuDevice: boolean };
  return {
    name: "tensorflow",
    version: backend.binding.TF_Version,
    devices: [backend.isUsingGpuDevice ? "GPU:0" : "CPU:0"],
    threads: Number(process.env.TF_NUM_INTRAOP_THREADS) || availableParallelism(),
    memory: backend.isUsingGpuDevice ? null : machineMemory(),
  };
}

/** What this process may take, where it runs in a container: beyond it the system kills it without a word. */
function machineMemory(): number {
  const allowed = process.constrainedMemory();
  return allowed > 0 ? Math.min(allowed, totalmem()) : totalmem();
}

/** Runs `load` with standard error sent to nowhere, where quiet.cc was compiled; what throws is still heard. */
function muted(load: () => void): void {
  const path = quietPath();
  const quiet = existsSync(path) ? (require(path) as { mute(): number; unmute(saved: number): void }) : null;
  const saved = quiet?.mute() ?? -1;
  try {
    load();
  } finally {
    quiet?.unmute(saved);
  }
}

async function startWasm(): Promise<Omit<EngineInfo, "reason">> {
  require("@tensorflow/tfjs"); // the only build for Node that registers the gradients; tfjs-node-gpu loads it too
  const { version_wasm: version } = await import("@tensorflow/tfjs-backend-wasm");
  await registerWasmKernels();
  // tfjs uses one thread in Node; a WebAssembly memory ends at 2 GB here, and going beyond it aborts the process.
  return { name: "wasm", version, devices: ["CPU:0"], threads: 1, memory: 2 ** 31 };
}

async function startCpu(): Promise<Omit<EngineInfo, "reason">> {
  require("@tensorflow/tfjs"); // the gradients, as above
  const { version_cpu: version } = await import("@tensorflow/tfjs-backend-cpu");
  registerCpuKernels();
  return { name: "cpu", version, devices: ["CPU:0"], threads: 1, memory: machineMemory() };
}

/**
 * Says before it happens that a model does not fit: beyond its memory an engine aborts the whole process, or the system does.
 * @param bytes that tensors will take at their peak
 * @throws RLRF_ENGINE_MEMORY
 */
export function requireTensorMemory(engine: EngineInfo, bytes: number, what: string): void {
  if (engine.memory === null || bytes <= engine.memory) return;
  const gigabytes = (value: number) => `${(value / 1e9).toFixed(1)} GB`;
  throw new RlrfError("RLRF_ENGINE_MEMORY", {
    message: `${what} needs about ${gigabytes(bytes)} of tensors; the engine "${engine.name}" holds ${gigabytes(engine.memory)} at most`,
    hint:
      engine.name === "wasm"
        ? "run `npm run setup` for the TensorFlow engine, or choose a smaller model"
        : "choose a smaller model, tune on fewer or shorter texts at once (alignment.batchSize, maxTokens, protocol.window), or take a machine with more memory",
  });
}

function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String((error as { message?: unknown })?.message ?? error);
  return text.split("\n")[0]?.trim() ?? text;
}
