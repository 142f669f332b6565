/**
 * What of node-llama-cpp is used. Its public interface cannot give a prompt's state to several sequences, and schedules batches by itself; below it
 * lies llama.cpp's own, as its addon has it: batches, sequences that are copied, a sampler a sequence. That part is internal to the package, so
 * one version is asked for, exactly.
 */
import { importPeer, type Logger, RlrfError } from "rlrf4rec";

export const peer = { name: "node-llama-cpp", version: "3.22.1" } as const;

/** A place in the last decoded batch whose logits were asked for. */
export type LogitIndex = number;

export interface NativeContext {
  initBatch(tokens: number): void;
  /** @returns a place for each of `logitsOf`, which count within `tokens` */
  addToBatch(sequence: number, position: number, tokens: Uint32Array, logitsOf: Uint32Array): Uint32Array;
  decodeBatch(): Promise<void>;
  sampleToken(at: LogitIndex, sampler: NativeSampler): Promise<number>;
  /** @returns token, probabilities, confidence, [token, logit, …] of the tokens asked for and of the drawn one, sum of exp(logit - largest) */
  sampleToken(
    at: LogitIndex,
    sampler: NativeSampler,
    probabilities: false,
    confidence: false,
    logits: readonly [tokens: readonly number[], max: boolean, min: boolean, selected: boolean, top: number],
    totalLogitWeight: true,
  ): Promise<readonly [number, undefined, undefined, readonly number[], number]>;
  disposeSequence(sequence: number): void;
  copySequenceStateFromOtherSequence(target: number, source: number): Promise<number>;
  setLoras(loras: readonly NativeLora[], scales: readonly number[]): void;
  setThreads(threads: number): void;
}
export interface NativeSampler {
  applyConfig(config: {
    readonly temperature: number;
    readonly topK?: number;
    readonly topP?: number;
    readonly minP?: number;
    readonly seed?: number;
  }): void;
  dispose(): void;
}
export interface NativeLora {
  dispose(): Promise<void>;
}
interface NativeModel {
  loadLora(lora: NativeLora): Promise<void>;
}
export interface Llama {
  readonly gpu: string | false;
  readonly _bindings: {
    readonly AddonSampler: new (model: NativeModel) => NativeSampler;
    readonly AddonModelLora: new (model: NativeModel, path: string) => NativeLora;
  };
  loadModel(options: object): Promise<LlamaModel>;
  dispose(): Promise<void>;
}
export interface LlamaModel {
  readonly _model: NativeModel;
  readonly fileInfo: { readonly metadata: { readonly general: { readonly architecture: string } } };
  /** Tokens of a text at most. */
  readonly trainContextSize: number;
  createContext(options: object): Promise<LlamaContext>;
  dispose(): Promise<void>;
}
export interface LlamaContext {
  readonly _ctx: NativeContext;
  dispose(): Promise<void>;
}

interface NodeLlamaCpp {
  getLlama(options: object): Promise<Llama>;
}

export type Device = "auto" | "cpu" | "cuda" | "vulkan" | "metal";

/** @param threads at most, 0 = all @param logger hears what llama.cpp says of errors @throws RLRF_PEER_…, RLRF_LLAMA_CPP when no binary of the package works on the device */
export async function openLlama(device: Device, threads: number, logger: Logger): Promise<Llama> {
  const { getLlama } = await importPeer<NodeLlamaCpp>(peer.name, peer.version, "the LLM llama-cpp");
  const gpu = device === "cpu" ? false : device;
  const hint = `options.device says "${device}"; binaries are packages of their own, which npm install --omit=optional leaves out`;
  const llama = await failing("llama.cpp does not start", hint, () =>
    getLlama({
      gpu,
      build: "never",
      skipDownload: true,
      maxThreads: threads,
      progressLogs: false,
      logLevel: "error",
      logger: (_: string, said: string) => logger.warn("RLRF_LLAMA_CPP", said.trim()),
    }),
  );
  if (gpu === "auto" || llama.gpu === gpu) return llama;
  await llama.dispose();
  throw new RlrfError("RLRF_LLAMA_CPP", {
    message: `llama.cpp does not start on ${device}: it has no binary for it that works here`,
    hint,
  });
}

/** @throws RLRF_LLAMA_CPP for whatever the work throws */
export async function failing<Result>(what: string, hint: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    const message = `${what}: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new RlrfError("RLRF_LLAMA_CPP", { message, hint }, { cause });
  }
}
