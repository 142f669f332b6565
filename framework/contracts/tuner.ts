/** Tuners: what makes a policy's next adapter of dialogues or preference examples, in this process or in another program. */
import type { PreferenceLoss } from "./feedback.js";
import type { ChatMessage, CorpusTexts, LoraOptions, TokenizedExample, TunablePolicy } from "./llm.js";

/** The hyperparameters that every tuner shares; they stand in the spec's section `alignment`. */
export interface TuningSettings {
  readonly epochs: number;
  /** Examples whose gradients are computed at once. */
  readonly batchSize: number;
  /** Batches whose gradients are added before one step. */
  readonly accumulate: number;
  /** Of AdamW, at its highest. */
  readonly learningRate: number;
  /** Decoupled, of AdamW. */
  readonly weightDecay: number;
  /** Global gradient norm at most; 0 = off. */
  readonly clip: number;
  /** How the learning rate falls after its rise. */
  readonly schedule: "constant" | "linear" | "cosine";
  /** Share of the steps in which the learning rate rises. */
  readonly rise: number;
}

export interface AlignmentText {
  readonly text: string;
  /** It ended by itself: its log-prob has the end token. A text cut by the token limit has none. */
  readonly ended: boolean;
  readonly reward: number;
}

/** One prompt with a preferred text and k others (0 for losses on the chosen text alone). */
export interface AlignmentExample {
  readonly messages: readonly ChatMessage[];
  readonly chosen: AlignmentText;
  readonly rejected: readonly AlignmentText[];
}

/** One optimiser step, as the journal gets it, with figures of the tuner's own: `accuracy`, `margin`, `chosenReward`, … */
export interface TuningStep {
  /** From 0. */
  readonly step: number;
  /** Of the whole tuning. */
  readonly steps: number;
  readonly loss: number;
  readonly [figure: string]: number;
}

/** What both stages of tuning share. */
export interface TuningTask {
  /** Tuned in place. It may have an adapter already (the policy that an iteration starts from); then that one goes on. */
  readonly policy: TunablePolicy;
  /** The adapter that is attached where the policy has none. */
  readonly lora: LoraOptions;
  readonly settings: TuningSettings;
  /** Of everything that is drawn: the adapter's first values, the order of the examples, dropout. */
  readonly seed: number;
  /** Names everything that the adapter follows from; what was left in the folder under another key is of another tuning. */
  readonly key: string;
  /** This tuning's own folder, inside the run folder, which outlives a kill: checkpoints, and what another program is given. */
  readonly folder: string;
  /** What all tunings of the run share, such as the exported model. */
  readonly shared: string;
  /** Hears of every step in order; after a kill also of those that an earlier process did. */
  readonly onStep?: (step: TuningStep) => void;
  /** Ctrl-C: state is saved, and its reason thrown, between two steps. */
  readonly signal?: AbortSignal;
}

/** The loss of the spec: a tuner in this process computes it, one elsewhere knows it by name. */
export interface NamedLoss {
  readonly plugin: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly loss: PreferenceLoss;
}

/**
 * One tuning from its beginning to its end. Killed at any moment and asked again with the same task, it goes on to the same end.
 * When it throws, the policy is that of its last good step or the one that it started from.
 */
export interface Tuner {
  /** Called before anything is computed: what a tuner needs from outside (another program, a network) fails now, not after hours. */
  prepare?(): Promise<void>;
  /**
   * Present where the policy's gradients are computed in this process. Asked before anything is written, with the longest example of the run.
   * @throws RLRF_ENGINE_MEMORY when `batchSize` of it at once would not fit the engine
   */
  requireMemory?(policy: TunablePolicy, longest: TokenizedExample, batchSize: number): void;
  /** Mean NLL of a completion token, end token included: the warm-up. */
  supervise(task: TuningTask, dialogues: CorpusTexts["dialogues"]): Promise<void>;
  /** The preference loss; its reference is the policy as it is when this is called, adapter included. */
  align(task: TuningTask, examples: readonly AlignmentExample[], loss: NamedLoss): Promise<void>;
}
