/** LLM backends: what writes texts, and, where it can be tuned in this process, what its trainer needs. */
import type { Tensor2D, Variable } from "@tensorflow/tfjs-core";

export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** Sampling from the next-token distribution. Temperature 0 is greedy. */
export interface GenerationParameters {
  readonly temperature: number;
  /** 0 = off. */
  readonly topK: number;
  /** 1 = off. */
  readonly topP: number;
  /** 0 = off; share of the most likely token's probability (arXiv 2407.01082). */
  readonly minP: number;
  /** Tokens of completion at most. */
  readonly maxTokens: number;
  readonly stop: readonly string[];
}

/** The N samples of one prompt; sample i's randomness depends on (seed, i) alone, never on the batch it ran in. */
export interface GenerationRequest {
  /** Raw id of the user whom the prompt is about: what `replay` finds its texts by, and what messages name. */
  readonly user: string;
  readonly messages: readonly ChatMessage[];
  readonly samples: number;
  readonly seed: number;
}
export interface GeneratedText {
  readonly text: string;
  /** Completion tokens, the end token not counted. */
  readonly tokens: number;
  /** "stop": the model ended it or a stop string did; "length": cut by maxTokens (may not be chosen, keeps no end token). */
  readonly finish: "stop" | "length";
}

export interface LlmBackend {
  /**
   * Which weights would answer now, adapter included: part of the cache key of every text.
   * Changes after `prepare`, a tuning step or `restore`.
   */
  identity(): string;
  /** Loads or, for `tiny`, trains the model on the corpus' texts. Called once before anything else. */
  prepare(corpus: CorpusTexts): Promise<void>;
  /**
   * One array of `samples` texts a request, in order.
   * @param onDone is given the texts of each request as soon as all of them are written, in whatever order that happens; what it throws ends the generation
   * @param signal ends the generation between two steps or requests, with its reason
   */
  generate(
    requests: readonly GenerationRequest[],
    parameters: GenerationParameters,
    onDone?: OnDone,
    signal?: AbortSignal,
  ): Promise<readonly (readonly GeneratedText[])[]>;
  /**
   * What `prepare` made, present where that takes long (`tiny`): a caller may keep it and hand it to `restoreState` in place of `prepare`.
   * It belongs to the plugin's options and the corpus; adapters are not in it.
   */
  state?(): Promise<LlmState>;
  restoreState?(state: LlmState): void;
  /** Present when this process can tune it. */
  readonly policy?: TunablePolicy;
  /** Present where the backend can write with an adapter that was tuned elsewhere: loads it in place of any other; null = writes without one. */
  useAdapter?(files: AdapterFiles | null): Promise<void>;
  /** Present where the model runs in this process: its last hidden states, pooled; of the frozen model, whatever adapter is attached. */
  hidden?(texts: readonly string[], pooling: HiddenPooling): Promise<TextVectors>;
  /** Present where the backend, sampling in the place of an LLM, writes with that one's frozen weights: given to it after `prepare`. */
  useModel?(model: ModelFiles): Promise<void>;
  /** Present where servers write the texts: what each has done by now. */
  shares?(): readonly ServerShare[];
  /** Present where the backend can tell how it reads a chat: what two backends are compared by. */
  probe?(messages: readonly ChatMessage[], completion: string): Promise<Probe>;
}

/** A frozen model as files that other programs read: in Hugging Face's layout (config.json, model.safetensors, tokenizer.json), and as GGUF (model.gguf). */
export interface ModelFiles {
  readonly folder: string;
  /** Names its weights: part of cache keys. */
  readonly identity: string;
}

/** What one server of several has done in this process. */
export interface ServerShare {
  /** Its host and port. */
  readonly server: string;
  /** Requests that it has answered. */
  readonly answers: number;
  /** Tries that it has not: it was unreachable, busy, or gave something unusable. */
  readonly failures: number;
  /** How often it was left out for a while. */
  readonly leftOut: number;
}

/** One vector a text. */
export interface TextVectors {
  readonly width: number;
  /** Row-major [texts, width]. */
  readonly vectors: Float32Array;
}
/** The mean over a text's tokens, or the state of the token that ends it. */
export type HiddenPooling = "mean" | "last";

export type OnDone = (request: number, texts: readonly GeneratedText[]) => void;

/** How a backend reads a chat that ends with a completion; null = it cannot tell. */
export interface Probe {
  /** Token ids of the chat with the completion, no end token after it. */
  readonly tokens: readonly number[] | null;
  /** Log-probabilities of the completion's tokens given all before them, nats. */
  readonly logProbs: readonly number[] | null;
}

export interface LlmState {
  /** Plain JSON. */
  readonly description: Readonly<Record<string, unknown>>;
  readonly tensors: AdapterState;
}

/** Texts that a model may learn its language from; none is of a valid, test or held-out user. */
export interface CorpusTexts {
  readonly dialogues: readonly { readonly messages: readonly ChatMessage[]; readonly completion: string }[];
}

/** One prompt and its completions as the trainer sees them: the prompt is computed once for all of them. */
export interface TokenizedExample {
  readonly prompt: Int32Array;
  readonly completions: readonly Int32Array[];
}

/** A policy with a LoRA adapter on frozen weights (Hu et al. 2021, arXiv 2106.09685). */
export interface TunablePolicy {
  /** `ended`: append the end-of-turn token (a text cut by the token limit gets none). */
  tokenize(messages: readonly ChatMessage[], completions: readonly { readonly text: string; readonly ended: boolean }[]): TokenizedExample;
  /** Creates the adapter (B = 0, so the policy is unchanged) if there is none yet. */
  attach(lora: LoraOptions, seed: number): void;
  /** The adapter's trainable parameters. */
  trainable(): readonly Variable[];
  /**
   * Differentiable log-probabilities of the completions, summed over their tokens.
   * All examples have the same number of completions; one of no tokens has 0.
   * @param dropoutSeed draws the adapter's dropout masks of one training pass; absent = no dropout
   * @returns [examples, completions], nats
   */
  logProbs(examples: readonly TokenizedExample[], dropoutSeed?: number): Tensor2D;
  /** Asked before a tuning starts. @throws RLRF_ENGINE_MEMORY when gradients of `batchSize` of these at once would not fit the engine */
  requireMemory?(examples: readonly TokenizedExample[], batchSize: number): void;
  /** The adapter's state, for checkpoints; empty when there is none. */
  adapter(): Promise<AdapterState>;
  restore(state: AdapterState): void;
  /** Writes the present adapter as `AdapterFiles` into an existing folder. @throws RLRF_ADAPTER_NONE when there is none */
  exportAdapter(folder: string): Promise<void>;
  /**
   * Takes over an adapter in PEFT's layout, in place of the present one if there is one.
   * @throws RLRF_ADAPTER_… when its files are damaged or do not fit the model
   */
  importAdapter(folder: string): Promise<void>;
  /** The frozen model in Hugging Face's layout, into an existing folder: config.json, model.safetensors, tokenizer.json, the chat template. */
  exportModel(folder: string): Promise<void>;
}
export interface LoraOptions {
  readonly rank: number;
  readonly alpha: number;
  readonly dropout: number;
  /** Projections by their usual names: "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj". */
  readonly targets: readonly string[];
}
/**
 * An adapter as files that other programs read: in PEFT's layout (adapter_config.json, adapter_model.safetensors), and as GGUF for llama.cpp
 * (adapter.gguf).
 */
export interface AdapterFiles {
  readonly folder: string;
  /** Names its values: part of cache keys. */
  readonly identity: string;
}
export type AdapterState = Readonly<Record<string, { readonly shape: readonly number[]; readonly values: Float32Array }>>;
