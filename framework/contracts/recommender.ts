/**
 * The recommender R of method.md step 3, in three exchangeable parts: sequence encoder, adaptor, reranker.
 * A plugin is a factory: `build` creates the parameters of one network in a scope, so that many recommenders
 * (arms x seeds x folds) live side by side and each can be saved, restored and freed.
 */
import type { Scalar, Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import type { LlmBackend, TextVectors } from "./llm.js";
import type { Parameters } from "../tensor/parameters.js";

/** How a forward pass runs. Dropout draws from `rng` and is off when not training. */
export interface Mode {
  readonly training: boolean;
  /** A seed for the next stochastic op. */
  nextSeed(): number;
}

/** Optimisation of one network, in the words of its paper. */
export interface FitOptions {
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly weightDecay: number;
  /** Epochs without improvement on valid users before the fit stops. */
  readonly patience: number;
}

/** Sequence encoder: what the interactions before a list say, one feature vector for each candidate. */
export interface SequenceEncoder {
  /** Absent for encoders with nothing to learn (`none`). */
  readonly fit?: FitOptions;
  build(scope: Parameters, shape: { readonly items: number; readonly history: number }): EncoderNetwork;
}
export interface EncoderNetwork {
  /** Features a candidate; 0 when the encoder says nothing. */
  readonly width: number;
  /**
   * The encoder's own objective on training users' sequences (fitted before the reranker, then frozen and shared by all arms).
   * @param sequences item numbers, left-padded with 0, [batch, history + 1]
   */
  loss(sequences: Tensor2D, mode: Mode): Scalar;
  /** @param history [batch, history] left-padded with 0; @param candidates [batch, list]; @returns [batch, list, width] */
  features(history: Tensor2D, candidates: Tensor2D, mode: Mode): Tensor3D;
  /** Scores of every item as the next one, for full ranking. @returns [batch, items + 1]; column 0 is padding. */
  scores(history: Tensor2D): Tensor2D;
}

/** Adaptor: joins the user's text to the items' texts (KAR's HEA and its rivals). */
export interface Adaptor {
  build(scope: Parameters, shape: AdaptorShape): AdaptorNetwork;
}
export interface AdaptorShape {
  /** Aspects of the user's text, each a vector of its own. */
  readonly aspects: number;
  /** Width of the text encoder. */
  readonly width: number;
}
/**
 * Three steps, so that a text is adapted once however many lists it meets: the recommender adapts the distinct users and
 * items of a batch, gathers, and joins. `join(users(u), items(i))` is method.md's adapt(user, items).
 */
export interface AdaptorNetwork {
  /** Features a candidate after `join`. */
  readonly features: number;
  /** Whether `users` adapts each aspect by itself: then an aspect that many users share is adapted once a batch, as a text of one aspect. */
  readonly aspectByAspect?: boolean;
  /** @param texts [users, aspects, width]; @returns [users, aspects, adapted] */
  users(texts: Tensor3D, mode: Mode): Tensor3D;
  /** @param texts [items, width]; @returns [items, adapted] */
  items(texts: Tensor2D, mode: Mode): Tensor2D;
  /** @param users [batch, aspects, adapted]; @param items [batch, list, adapted]; @returns [batch, list, features] */
  join(users: Tensor3D, items: Tensor3D): Tensor3D;
}

/** Reranker: scores the candidates of a list in each other's presence. */
export interface Reranker {
  readonly fit: FitOptions;
  /** Width of the item-ID embedding that the reranker learns for each candidate. */
  readonly embedding: number;
  /** Interactions right before a list that it looks at itself, at most, as far as protocol.history lets it; absent = none. */
  readonly history?: number;
  build(scope: Parameters, shape: RerankerShape): RerankerNetwork;
}
export interface RerankerShape {
  /** Features a candidate. */
  readonly width: number;
  /** Candidates a list. */
  readonly list: number;
  /** Width of an item of the history; 0 for a reranker that asks for none. */
  readonly historyWidth: number;
}
/** What the user met right before a list, for rerankers that look at it themselves. */
export interface ListHistory {
  /** Each item's learned vector and, where there are texts, its adapted text. [batch, length, historyWidth] */
  readonly items: Tensor3D;
  /** 1 where there is an item, 0 where padded, on the left. [batch, length] */
  readonly real: Tensor2D;
}
export interface RerankerNetwork {
  /** @param features [batch, list, width]; @param history for a reranker that asks for it; @returns scores (logits) [batch, list] */
  score(features: Tensor3D, mode: Mode, history?: ListHistory): Tensor2D;
  /** Training loss from scores and labels, both [batch, list]. */
  loss(scores: Tensor2D, labels: Tensor2D): Scalar;
}

/** Text encoder: frozen vectors of texts; results are cached by content. */
export interface TextEncoder {
  /** @returns row-major [texts, width]; all rows of one call have the same width. */
  encode(texts: readonly string[]): Promise<TextVectors>;
  /** Present where the vectors are the run's own LLM's: it is handed over, prepared, before the first text. The decorator then says that it needs "hidden". */
  useLlm?(llm: Pick<LlmBackend, "hidden">): void;
}
