/** The recommenders of a model on the tensor engine: lists in, scores out, nothing left behind. */
import * as tf from "@tensorflow/tfjs-core";
import type { PreparedData } from "../contracts/dataset.js";
import type { Adaptor, Reranker, SequenceEncoder } from "../contracts/recommender.js";
import { type AnswerVectors, silentTexts } from "../method/answer-vectors.js";
import { type FittedEncoder, type Knowledge, type RecommenderNetwork, restoreEncoder, restoreNetwork } from "../method/recommender.js";
import type { Sequences } from "../method/sequences.js";
import { floatTensors, readTensors, type StoredTensor } from "../store/tensors.js";
import { broken, type Model, modelFiles } from "./model.js";

export interface RankerParts {
  readonly encoder: SequenceEncoder;
  readonly adaptor: Adaptor;
  readonly reranker: Reranker;
}

/** What a text says to each recommender, after its experts: a text is adapted once, however many lists it meets. */
export type Voice = readonly { readonly shape: [number, number, number]; readonly values: Float32Array }[];

export interface ListToRank {
  /** Numbers of items, oldest first. */
  readonly history: Int32Array;
  /** Numbers of items. */
  readonly candidates: Int32Array;
  /** Of this ranker; null = the user is silent. */
  readonly voice: Voice | null;
}

interface LoadedRecommender {
  readonly encoder: FittedEncoder;
  readonly network: RecommenderNetwork;
  /** Adapted once: they never change. null without knowledge. */
  readonly items: tf.Tensor2D | null;
}

export class Ranker {
  private silence: Voice = [];

  private constructor(private readonly recommenders: readonly LoadedRecommender[]) {}

  /** @param history interactions before a list that the sequence encoder sees, at most @throws RLRF_MODEL_BROKEN */
  static async load(model: Model, parts: RankerParts, data: PreparedData, knowledge: Knowledge | null, history: number): Promise<Ranker> {
    const recommenders: LoadedRecommender[] = [];
    const ranker = new Ranker(recommenders);
    try {
      for (const seed of model.description.seeds) recommenders.push(await loadRecommender(model, parts, data, knowledge, history, seed));
      if (knowledge !== null) ranker.silence = ranker.voiceOf(silentTexts(1, knowledge.users));
      return ranker;
    } catch (error) {
      ranker.dispose();
      throw error;
    }
  }

  /** @param text one alone */
  voiceOf(text: AnswerVectors): Voice {
    return this.recommenders.flatMap(({ network }) =>
      tf.tidy(() => {
        const users = network.adaptUsers(text);
        return users === null ? [] : [{ shape: users.shape, values: users.dataSync<"float32">() }];
      }),
    );
  }

  /** @returns [candidates], the mean over the recommenders */
  rank({ history, candidates, voice }: ListToRank): Float32Array {
    const histories: Sequences = { items: history, begin: Int32Array.of(0), end: Int32Array.of(history.length) };
    const list = { histories, candidates, length: candidates.length };
    const said = voice ?? this.silence;
    const mean = new Float32Array(candidates.length);
    for (const [i, { network, items }] of this.recommenders.entries())
      tf.tidy(() => {
        const own = said[i];
        const adapted = own && items && { users: tf.tensor3d(own.values, own.shape), items };
        const scores = network.scoresOfOthers(list, Int32Array.of(0), adapted ?? null);
        for (let j = 0; j < mean.length; j++) mean[j] = (mean[j] as number) + (scores[j] as number) / this.recommenders.length;
      });
    return mean;
  }

  /** Whether it ranks lists of any length: some rerankers know the places of a list. */
  takesLength(length: number): boolean {
    const candidates = new Int32Array(length);
    try {
      const scores = this.rank({ history: new Int32Array(), candidates, voice: null });
      return scores.length === length && scores.every(Number.isFinite);
    } catch {
      return false;
    }
  }

  dispose(): void {
    for (const { encoder, network, items } of this.recommenders) {
      items?.dispose();
      network.dispose();
      encoder.dispose();
    }
  }
}

async function loadRecommender(
  model: Model,
  { encoder, adaptor, reranker }: RankerParts,
  data: PreparedData,
  knowledge: Knowledge | null,
  history: number,
  seed: number,
): Promise<LoadedRecommender> {
  const state = async (name: string) => ({ name, values: await stateOf(model, name) });
  const [encoderState, networkState] = [await state(modelFiles.encoder(seed)), await state(modelFiles.recommender(seed))];
  const fitted = restored(encoderState.name, () => restoreEncoder({ data, encoder, history }, encoderState.values));
  try {
    const network = restored(networkState.name, () =>
      restoreNetwork({ data, encoder: fitted, adaptor, reranker, knowledge }, networkState.values),
    );
    return { encoder: fitted, network, items: network.adaptItems() };
  } catch (error) {
    fitted.dispose();
    throw error;
  }
}

async function stateOf(model: Model, name: string): Promise<Record<string, StoredTensor<Float32Array>>> {
  const path = model.file(name);
  if (path === null) throw broken(model.folder, `it has no ${name}`);
  const tensors = await readTensors(path);
  const wrong = Object.entries(tensors).find(([, { values }]) => !(values instanceof Float32Array) || !values.every(Number.isFinite));
  if (wrong !== undefined) throw broken(path, `the tensor ${JSON.stringify(wrong[0])} holds other things than finite 32-bit floats`);
  return floatTensors(tensors);
}

/** Names and shapes that are not those of the spec's networks. */
function restored<Network>(name: string, restore: () => Network): Network {
  try {
    return restore();
  } catch (cause) {
    throw broken(name, `it does not fit the model's spec: ${(cause as Error).message}`, undefined, cause);
  }
}
