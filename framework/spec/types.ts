/** A resolved spec: every default filled in, frozen. The schema with the defaults is in envelope.ts. */
import type { TiePolicy } from "../contracts/feedback.js";
import type { LoraOptions } from "../contracts/llm.js";

export interface PluginReference {
  readonly plugin: string;
  /** Resolved: the exact version that the registry holds. */
  readonly version: string;
  readonly options: Readonly<Record<string, unknown>>;
}

/** What writes the users' texts and is tuned. */
export interface LlmReference extends PluginReference {
  readonly seed: number;
  /** What writes in its place, with its tuned adapters; absent: it writes itself. */
  readonly sampler?: SamplerReference;
}

export interface TextEncoderReference extends PluginReference {
  /** Whether the items' vectors lose their mean; absent: they keep it. */
  readonly centre?: boolean;
}

export interface SamplerReference extends PluginReference {
  /** Mean difference of its log-probabilities from the LLM's, nats a token, at most. */
  readonly tolerance: number;
}

export interface Protocol {
  /** Knowledge window: h_u = min(ceil(n_u / 2), window). */
  readonly window: number;
  /** Interactions before a list that the sequence encoder sees, at most. */
  readonly history: number;
  readonly listLength: number;
  /** Consecutive interactions a list is cut from, at most. */
  readonly positives: number;
  readonly ties: TiePolicy;
  readonly seed: number;
  /** Shares of train, valid and test users; used when `folds` is 0. */
  readonly split: readonly [number, number, number];
  /** Share of users whose texts are sampled and tuned on, under `folds`. */
  readonly align: number;
  /** Cross-validation folds over the other users; 0 = one split. */
  readonly folds: number;
  /** "ndcg@5", "map@1", … */
  readonly metrics: readonly string[];
  /** Between the ends of two training sequences of the sequence encoder; absent = `history`. */
  readonly stride?: number;
  /** Overrides the dataset's own threshold of relevance. */
  readonly relevantAbove?: number;
}

/** One aspect that the prompt asks for, and the item field that a template (no LLM) would answer it from. */
export interface Aspect {
  readonly name: string;
  readonly from: string;
  readonly of: "liked" | "disliked";
  readonly top: number;
}

export interface Prompt {
  readonly aspects: readonly Aspect[];
  readonly template: "movies" | "items";
  readonly items: "title" | "title+genres";
}

export interface Warmup {
  readonly epochs: number;
  readonly learningRate: number;
  readonly batchSize: number;
  /** Train users whose `metadata` texts are learnt from, at most. */
  readonly users: number;
}

export interface Alignment {
  readonly iterations: number;
  readonly epochs: number;
  readonly batchSize: number;
  /** Batches whose gradients are added before one step. */
  readonly accumulate: number;
  readonly learningRate: number;
  readonly weightDecay: number;
  /** Global gradient norm at most; 0 = off. */
  readonly clip: number;
  readonly schedule: "constant" | "linear" | "cosine";
  /** Share of the steps in which the learning rate rises. */
  readonly rise: number;
  readonly lora: LoraOptions;
  readonly structure: "gate" | "reward" | "off";
  readonly structureWeight: number;
  readonly structureShare: number;
  readonly accept: "if-better" | "always";
  /** Conforming texts after an accepted iteration for each one before it, at least. */
  readonly structureFloor: number;
  readonly onReject: "continue" | "stop";
  /** Texts that the reward models learn to hear. */
  readonly hears: "policy" | "template";
  readonly deaf: "stop" | "continue";
  /** Cross-fitting: reward models of a seed, each scoring the align users that it was not trained on. */
  readonly rewardFolds: number;
  /** Share of the align users that make no pairs: the iteration is judged on them. */
  readonly heldOut: number;
  /** Align users that are sampled, at most; 0 = all. */
  readonly users: number;
  readonly warmup: Warmup | null;
}

export type Arm = "id-only" | "item-only" | "metadata" | "llm" | "best-of-N" | "shuffled" | "swapped";

export interface Spec {
  readonly name: string;
  /** Seeds of the recommender. */
  readonly seeds: readonly number[];
  readonly engine: "auto" | "tensorflow" | "wasm" | "cpu";
  readonly dataset: PluginReference;
  readonly protocol: Protocol;
  readonly encoder: PluginReference;
  readonly adaptor: PluginReference;
  readonly reranker: PluginReference;
  readonly textEncoder: TextEncoderReference;
  readonly prompt: Prompt;
  readonly llm?: LlmReference;
  readonly reward?: PluginReference;
  readonly sampling?: PluginReference;
  readonly loss?: PluginReference;
  readonly tuner?: PluginReference;
  /** Where the work is done: no part of the run's identity. */
  readonly executor: PluginReference;
  /** Where computed steps are kept; null = .rlrf. */
  readonly store: { readonly path: string | null };
  readonly alignment?: Alignment;
  readonly arms: readonly Arm[];
  readonly tracking: {
    readonly experiment: string;
    readonly uri: string | null;
    /** Key of the run where it is a child of another one. */
    readonly run?: string;
  };
}
