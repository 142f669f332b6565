/** Step 3: the recommender R. It hears a text (or none) and ranks the candidates of a list. */
import type { Round } from "../contracts/dataset.js";
import type { TiePolicy } from "../contracts/feedback.js";
import type { Progress } from "../contracts/plugin.js";
import { labelsOf } from "../data/labels.js";
import { groupMeans, mean } from "../metrics/aggregate.js";
import { metricByName } from "../metrics/ranking.js";
import { createRng } from "../rng.js";
import { training } from "../tensor/nn/index.js";
import type { NamedArrays } from "../tensor/optimiser.js";
import type { AnswerVectors } from "./answer-vectors.js";
import { chunks, shuffledBatches } from "./batches.js";
import { breath, type FitReport, train } from "./fit.js";
import { type Adapted, RecommenderNetwork, type RecommenderParts } from "./recommender-network.js";

export { type EncoderParts, type EncoderRequest, FittedEncoder, fitEncoder, restoreEncoder } from "./encoder.js";
export { DivergedError, type FitReport } from "./fit.js";
export type { Adapted, Knowledge, OtherLists, RecommenderNetwork, RecommenderParts } from "./recommender-network.js";

export interface RecommenderRequest extends RecommenderParts {
  readonly round: Round;
  /** Varies initialisation, order and dropout. */
  readonly seed: number;
  /** What valid users stop the fit by: "ndcg@5", … */
  readonly metric: string;
  readonly ties: TiePolicy;
  readonly progress?: Progress | undefined;
  readonly signal?: AbortSignal | undefined;
}
export interface ScoreOptions {
  readonly progress?: Progress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Lists scored at once. */
const scoreBatch = 1024;

export class Recommender {
  constructor(
    private readonly network: RecommenderNetwork,
    private readonly parts: RecommenderParts,
    /** Absent when restored. */
    readonly report?: FitReport,
  ) {}

  /** Texts that more than one call of `score` hears; the caller disposes the result. @returns null with `knowledge` null */
  adapt(texts: AnswerVectors | null): Adapted | null {
    return this.network.adapt(texts);
  }

  /**
   * Each text and each item is adapted once, however many lists it meets.
   * @param lists list numbers
   * @param texts to hear, or what `adapt` made of them; null with `knowledge` null
   * @param textOf which of them each of the lists hears, [lists]
   * @returns [lists * length]
   */
  async score(
    lists: Int32Array,
    texts: AnswerVectors | Adapted | null,
    textOf: Int32Array | null,
    options: ScoreOptions = {},
  ): Promise<Float32Array> {
    const { length } = this.parts.data.lists;
    const scores = new Float32Array(lists.length * length);
    const batches = chunks(lists, scoreBatch);
    await this.parts.encoder.warm(options.signal);
    const adapted = isAdapted(texts) ? texts : this.adapt(texts);
    const shown = options.progress?.start("scoring lists", lists.length, "lists");
    try {
      for (const [i, batch] of batches.entries()) {
        await breath(options.signal);
        const heard = textOf?.subarray(i * scoreBatch, i * scoreBatch + batch.length) ?? null;
        scores.set(this.network.scores(batch, heard, adapted), i * scoreBatch * length);
        shown?.advance(batch.length);
      }
      return scores;
    } finally {
      if (adapted !== texts) adapted?.dispose();
      shown?.end();
    }
  }

  /** Every trained value by name, to be written with `writeTensors`; without the encoder, which has a state of its own. */
  state(): Promise<NamedArrays> {
    return this.network.parameters.state();
  }

  dispose(): void {
    this.network.dispose();
  }
}

function isAdapted(texts: AnswerVectors | Adapted | null): texts is Adapted {
  return texts !== null && "dispose" in texts;
}

/** Trains on the lists of the round's train users, stopped by its valid users with their own texts. @throws RLRF_TRAIN_NAN, or the signal's reason */
export async function fitRecommender(request: RecommenderRequest): Promise<Recommender> {
  const { data, round, reranker, knowledge, signal, progress } = request;
  await request.encoder.warm(signal);
  const rng = createRng("recommender", request.seed);
  const network = new RecommenderNetwork(request, rng);
  const recommender = new Recommender(network, request);
  const trainLists = listsOf(data, round.train);
  const validLists = listsOf(data, round.valid);
  const mode = training(rng.derive("stochastic"));
  try {
    const report = await train({
      label: "recommender",
      parameters: network.parameters,
      options: reranker.fit,
      schedule: "cosine",
      batches: (epoch) => shuffledBatches(trainLists, reranker.fit.batchSize, rng.derive("order", epoch)),
      loss: (lists) => network.loss(lists, mode),
      evaluate: async () => {
        const heard = validLists.map((list) => data.lists.user[list] as number);
        return byUser(request, validLists, await recommender.score(validLists, knowledge?.users ?? null, knowledge && heard));
      },
      progress,
      signal,
    });
    return new Recommender(network, request, report);
  } catch (error) {
    network.dispose();
    throw error;
  }
}

export function restoreRecommender(parts: RecommenderParts, state: NamedArrays): Recommender {
  return new Recommender(restoreNetwork(parts, state), parts);
}

/** The network alone, for whoever has lists that are not in the prepared data. @param state of `Recommender.state` */
export function restoreNetwork(parts: RecommenderParts, state: NamedArrays): RecommenderNetwork {
  const network = new RecommenderNetwork(parts, createRng("restored"));
  try {
    network.parameters.restore(state);
    return network;
  } catch (error) {
    network.dispose();
    throw error;
  }
}

/** @param users ascending; @returns the numbers of their lists, ascending */
export function listsOf({ lists, users: all }: RecommenderParts["data"], users: Int32Array): Int32Array {
  const wanted = new Uint8Array(all.length);
  for (const user of users) wanted[user] = 1;
  return Int32Array.from({ length: lists.count }, (_, list) => list).filter((list) => wanted[lists.user[list] as number] === 1);
}

/** The metric's mean over a user's lists, then over users. */
function byUser({ data, metric, ties }: RecommenderRequest, lists: Int32Array, scores: Float32Array): number {
  const values = metricByName(metric).measure(scores, labelsOf(data.lists, lists), data.lists.length, ties);
  const users = lists.map((list) => data.lists.user[list] as number);
  return mean(groupMeans(values, users, data.users.length));
}
