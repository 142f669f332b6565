/** From recommender feedback to preference examples: reward heads, sampling strategies, preference losses. */
import type { Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import type { ChatMessage, GenerationParameters } from "./llm.js";
import type { Rng } from "./plugin.js";

/** A text of a user with what the parser made of it. */
export interface ScoredText {
  readonly user: number;
  readonly text: string;
  /** Share of the asked aspects answered exactly once. */
  readonly structureRate: number;
}

/** A row of numbers for each text. */
export interface TextFeatures {
  readonly width: number;
  readonly values: Float32Array; // [texts * width]
}

/** Texts to be rewarded, with the recommender's scores for each text's lists. What a head does not `need` is absent. */
export interface RewardBatch {
  readonly texts: readonly ScoredText[];
  readonly lists: {
    /** Index into `texts`. [lists] */
    readonly text: Int32Array;
    readonly length: number;
    readonly scores: Float32Array; // [lists * length]
    readonly labels: Uint8Array; // [lists * length]
    /** "neutral": scores of the same lists with a neutral text. [lists * length] */
    readonly neutral?: Float32Array;
  };
  readonly ties: TiePolicy;
  /** 1 for a text that the head predicts, because it measures only a share: its lists were left out. [texts] */
  readonly unmeasured?: Uint8Array;
  /** "vectors": what the recommender hears of a text, all aspects joined. */
  readonly vectors?: TextFeatures;
  /** "states": what the sequence encoder makes of the text's user, the mean over lists and candidates; width 0 under the encoder `none`. */
  readonly states?: TextFeatures;
  /** "prompts": what each text answers. [texts] */
  readonly prompts?: readonly TextPrompt[];
  /** "calibration": the texts that the recommender has learnt to hear, one of each user it may score; the same for all its batches. */
  readonly calibration?: RewardBatch;
  /**
   * "others": the same texts, ranked for another user instead of their own; one batch a user that the recommender may score, in random order.
   * Each is scored when it is asked for, so that a head pays for those that it takes.
   */
  readonly others?: Iterable<RewardBatch> | AsyncIterable<RewardBatch>;
  /** Takes figures about the reward itself, for the journal. */
  readonly report?: (figures: Readonly<Record<string, number>>) => void;
}
export interface TextPrompt {
  /** Raw id of the user. */
  readonly user: string;
  readonly messages: readonly ChatMessage[];
}
export type TiePolicy = "expected" | "pessimistic" | "optimistic";
export type RewardNeed = "neutral" | "vectors" | "states" | "prompts" | "calibration" | "others";

/** Reward head: one number a text, higher is better. */
export interface Reward {
  readonly needs: readonly RewardNeed[];
  /** Only the text is looked at, or only how far it keeps the structure, and every text has a reward: no list is ranked. Absent: the rankings are. */
  readonly reads?: "text" | "structure";
  /**
   * The standard deviation of its values, where calibration texts do not tell it because they are all alike to the head: what a sum of rewards
   * then divides by. Absent: 1.
   */
  readonly spread?: number;
  /** The texts that are measured, the others being predicted: a share of a batch, and never fewer than `least`. Absent: all. */
  readonly measures?: { readonly share: number; readonly least: number };
  /** @returns [texts]; NaN for a text none of whose lists has a relevant item, unless the head `reads` the text or its structure alone */
  reward(batch: RewardBatch): Float64Array | Promise<Float64Array>;
}

/** One of the N texts of a user. */
export interface SampledText {
  readonly text: string;
  readonly reward: number;
  /** Completion tokens. */
  readonly length: number;
  /** Finished, and in the asked structure: only such a text may be chosen under the structure gate. */
  readonly conforms: boolean;
  /** "sample": drawn for this user. The others come along only when a strategy `needs` them. */
  readonly origin?: "sample" | OtherText;
  /** The number of the user whose best sample it is: with the origin "partners". */
  readonly of?: number;
}
/**
 * Texts beside a user's own samples: what the policy says greedily; what the one before it does; other users' best samples, rewarded as if they
 * were this user's.
 */
export type OtherText = "greedy" | "previous" | "partners";

/** Indices into the samples of one user. */
export interface PreferenceExample {
  readonly chosen: number;
  readonly rejected: readonly number[];
}
export interface Selection {
  readonly examples: readonly PreferenceExample[];
  /** Why nothing came out ("ties", "no-conforming", …), or null. */
  readonly dropped: string | null;
}

/** Sampling strategy: how N texts are drawn, and which preference examples they make. */
export interface SamplingStrategy {
  /** N. */
  readonly samples: number;
  readonly generation: GenerationParameters;
  readonly needs: readonly OtherText[];
  /** With "partners" in `needs`: how many other users' texts come along; of two users either meets the other or neither does. */
  readonly partners?: number;
  /** How many rejected texts an example has: 0 (`rejection`), 1 (pairs), "many", or "ranked": many, each with less reward than the one before. */
  readonly rejected: 0 | 1 | "many" | "ranked";
  /** Where they are many: at most so many. Absent: all of a user's texts but one. */
  readonly rejectedAtMost?: number;
  select(samples: readonly SampledText[], rng: Rng): Selection;
  /** Present where what is kept of a user's examples depends on those of the others. @param selections of every user; @returns as many */
  compare?(selections: readonly UserSelection[]): readonly Selection[];
}
export interface UserSelection extends Selection {
  /** The user's number. */
  readonly user: number;
  readonly samples: readonly SampledText[];
}

/**
 * What a batch must hold. "listwise": several rejected texts a pair; "ranked": and no two as good as each other, since their order is learnt.
 * "batch": several pairs, since what becomes of one depends on the others.
 */
export type LossNeed = "reference" | "lengths" | "rewards" | "listwise" | "ranked" | "mismatched" | "batch";

/** One side of a batch. `Shape` is [pairs] for the chosen and [pairs, k] for the rejected texts. */
export interface PreferenceSide<Shape> {
  /** Sum of the completion's token log-probs under the policy, nats. */
  readonly logProbs: Shape;
  /** The same under the reference; present when the loss needs "reference". */
  readonly reference?: Shape;
  /** Completion tokens; present when the loss needs "lengths". */
  readonly lengths?: Shape;
  /** The recommender's reward; present when the loss needs "rewards". */
  readonly rewards?: Shape;
}
export interface PreferenceBatch {
  readonly chosen: PreferenceSide<Tensor1D>;
  /** k is the same within a batch: the runner groups examples by it. */
  readonly rejected: PreferenceSide<Tensor2D>;
  /** Prompts joined with another user's completion (KTO's KL batch); present when the loss needs "mismatched". */
  readonly mismatched?: PreferenceSide<Tensor1D>;
}

/** What a loss remembers from batch to batch (a running mean), by name. */
export type LossState = Readonly<Record<string, number>>;

/** Preference loss: how a pair (or a chosen text against k rejected ones) moves the policy. Each plugin names its paper and equation. */
export interface PreferenceLoss {
  readonly needs: readonly LossNeed[];
  /** 0: the loss looks at the chosen text alone, and can do without rejected ones. Others need one, or with "listwise" several. */
  readonly rejected?: 0;
  /** The scale of implicit rewards beta * (log pi - log ref) in the journal; absent where the loss has none. */
  readonly beta?: number;
  /** @returns the loss of each pair, [pairs], nats */
  loss(batch: PreferenceBatch): Tensor1D;
  /** Present, both, where `loss` remembers something: it is part of a tuning's checkpoints, and begun anew (null) with every tuning. */
  state?(): LossState;
  restore?(state: LossState | null): void;
}
