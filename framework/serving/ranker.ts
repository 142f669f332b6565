/** The recommenders of a model on the tensor engine: lists in, scores out, nothing left behind. */
import * as tf from "@tensorflow/tfjs-core";
import type { PreparedData } from "../contracts/dataset.js";
import type { Adaptor, Reranker, SequenceEncoder } from "../contracts/recommender.js";
import { type FittedEncoder, type Knowledge, type RecommenderNetwork, restoreEncoder, restoreNetwork } from "../method/recommender.js";
import type { Sequences } from "../method/sequences.js";
import { floatTensors, readTensors, type StoredTensor } from "../store/tensors.js";
import { broken, type Model, modelFiles } from "./model.js";

export interface RankerParts {
  readonly encoder: SequenceEncoder;
  readonly adaptor: Adaptor;
  readonly reranker: Reranker;
}

export interface ListToRank {
  /** Numbers of items, oldest first. */
  readonly history: Int32Array;
  /** Numbers of items. */
  readonly candidates: Int32Array;
  /** What the user's text says, [aspects * width]; null = nothing. */
  readonly voice: Float32Array | null;
}

interface LoadedRecommender {
  readonly encoder: FittedEncoder;
  readonly network: RecommenderNetwork;
  /** Adapted once: they never change. null without knowledge. */
  readonly items: tf.Tensor2D | null;
}

export class Ranker {
  private constructor(
    private readonly recommenders: readonly LoadedRecommender[],
    /** Values of a silent user. */
    private readonly voiceSize: number,
  ) {}

  /** @param history interactions before a list that the sequence encoder sees, at most @throws RLRF_MODEL_BROKEN */
  static async load(model: Model, parts: RankerParts, data: PreparedData, knowledge: Knowledge | null, history: number): Promise<Ranker> {
    const recommenders: LoadedRecommender[] = [];
    const ranker = new Ranker(recommenders, knowledge === null ? 0 : knowledge.aspects * knowledge.width);
    try {
      for (const seed of model.description.seeds) recommenders.push(await loadRecommender(model, parts, data, knowledge, history, seed));
      return ranker;
    } catch (error) {
      ranker.dispose();
      throw error;
    }
  }

  /** Lists of one length. @returns [lists * length], the mean over the recommenders */
  rank(lists: readonly ListToRank[]): Float32Array {
    const length = lists[0]?.candidates.length ?? 0;
    const candidates = new Int32Array(lists.length * length);
    for (const [row, list] of lists.entries()) candidates.set(list.candidates, row * length);
    const others = { histories: sequencesOf(lists), candidates, length };
    const rows = Int32Array.from(lists.keys());
    const voices = this.voicesOf(lists);
    const sum = new Float32Array(candidates.length);
    for (const { network, items } of this.recommenders)
      tf.tidy(() => {
        const users = items === null ? null : network.adaptUsers(voices);
        const scores = network.scoresOfOthers(others, rows, users && items && { users, items });
        for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + (scores[i] as number) / this.recommenders.length;
      });
    return sum;
  }

  /** Whether it ranks lists of any length: some rerankers know the places of a list. */
  takesLength(length: number): boolean {
    const candidates = new Int32Array(length);
    try {
      return this.rank([{ history: new Int32Array(), candidates, voice: null }]).every(Number.isFinite);
    } catch {
      return false;
    }
  }

  private voicesOf(lists: readonly ListToRank[]): Float32Array {
    const voices = new Float32Array(lists.length * this.voiceSize);
    for (const [row, { voice }] of lists.entries()) if (voice !== null && this.voiceSize > 0) voices.set(voice, row * this.voiceSize);
    return voices;
  }

  dispose(): void {
    for (const { encoder, network, items } of this.recommenders) {
      items?.dispose();
      network.dispose();
      encoder.dispose();
    }
  }
}

function sequencesOf(lists: readonly ListToRank[]): Sequences {
  const end = new Int32Array(lists.length);
  let size = 0;
  for (const [row, { history }] of lists.entries()) end[row] = size += history.length;
  const items = new Int32Array(size);
  const begin = end.map((last, row) => last - (lists[row]?.history.length ?? 0));
  for (const [row, { history }] of lists.entries()) items.set(history, begin[row]);
  return { items, begin, end };
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
