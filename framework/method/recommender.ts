/** Step 3: the recommender R. It hears a text (or none) and ranks the candidates of a list. */
import type { PreparedData, Round } from "../contracts/dataset.js";
import type { TiePolicy } from "../contracts/feedback.js";
import type { Progress } from "../contracts/plugin.js";
import type { Adaptor, Reranker } from "../contracts/recommender.js";
import type { NamedArrays } from "../tensor/optimiser.js";
import type { FittedEncoder } from "./encoder.js";

export { type EncoderRequest, type FittedEncoder, fitEncoder, restoreEncoder } from "./encoder.js";

/** What texts say, as the text encoder's vectors. */
export interface Knowledge {
  /** Aspects of a user's text, each a vector of its own. */
  readonly aspects: number;
  readonly width: number;
  /** [users * aspects * width]; a zero vector = silent */
  readonly users: Float32Array;
  /** [(items + 1) * width]; item 0 is padding */
  readonly items: Float32Array;
}

/** What a recommender is made of. */
export interface RecommenderParts {
  readonly data: PreparedData;
  readonly encoder: FittedEncoder;
  readonly adaptor: Adaptor;
  readonly reranker: Reranker;
  /** null = neither texts of users nor of items (`id-only`). */
  readonly knowledge: Knowledge | null;
}
export interface RecommenderRequest extends RecommenderParts {
  readonly round: Round;
  /** Varies initialisation, order and dropout. */
  readonly seed: number;
  /** What valid users stop the fit by: "ndcg@5", … */
  readonly metric: string;
  readonly ties: TiePolicy;
  readonly progress?: Progress;
  readonly signal?: AbortSignal;
}

/** How a fit went: the metric of the valid users after each epoch, and the epoch (from 1) whose state was kept. */
export interface FitReport {
  readonly epochs: number;
  readonly best: number;
  readonly metric: number;
  readonly history: readonly { readonly loss: number; readonly metric: number; readonly seconds: number }[];
}

export interface Recommender {
  /** Absent after `restoreRecommender`. */
  readonly report?: FitReport;
  /**
   * @param lists list numbers
   * @param vectors texts to hear, [texts * aspects * width]; null with `knowledge` null
   * @param vectorOf the text (row of `vectors`) that each of the lists hears, [lists]
   * @returns [lists * length]
   */
  score(lists: Int32Array, vectors: Float32Array | null, vectorOf: Int32Array | null, options?: ScoreOptions): Promise<Float32Array>;
  /** Every trained value by name, to be written with `writeTensors`; without the encoder, which has a state of its own. */
  state(): Promise<NamedArrays>;
  dispose(): void;
}
export interface ScoreOptions {
  readonly progress?: Progress;
  readonly signal?: AbortSignal;
}

/** Trains on the lists of the round's train users, stopped by its valid users with their own texts. */
export function fitRecommender(request: RecommenderRequest): Promise<Recommender> {
  throw new Error(`being written ${request.seed}`);
}

export function restoreRecommender(parts: RecommenderParts, state: NamedArrays): Recommender {
  throw new Error(`being written ${parts.data.lists.count} ${Object.keys(state)}`);
}
