/** Encoders that say what a history says in one state, which is scored against the items by a dot product. */
import * as tf from "@tensorflow/tfjs-core";
import type { EncoderNetwork, Mode } from "../contracts/recommender.js";
import { createRng } from "../rng.js";
import { type Embedding, evaluating } from "../tensor/nn/index.js";
import { batchOf, everyNext, historiesOf, type Questions, someNext } from "./next-items.js";
import { type Catalogue, nextItemLoss, type ObjectiveOptions } from "./objectives.js";

/** Items scored by the vectors of a table. */
export function catalogueOf(embedding: Embedding): Catalogue {
  return {
    items: (embedding.table.shape[0] as number) - 1,
    all: () => embedding.table as tf.Tensor as tf.Tensor2D,
    of: (ids) => embedding(ids) as tf.Tensor2D,
  };
}

/** A state per position of a sequence: none may look at what stands after it. */
export interface CausalModel {
  readonly catalogue: Catalogue;
  /** Of states. */
  readonly width: number;
  /** @param ids [batch, length], left-padded with 0; @returns [batch, length, width] */
  states(ids: tf.Tensor2D, mode: Mode): tf.Tensor3D;
  /** The state of the last position alone, where that costs less. @returns [batch, width] */
  last?(ids: tf.Tensor2D, mode: Mode): tf.Tensor2D;
}

/** One state a history, which may look at all of it. */
export interface HistoryModel {
  readonly catalogue: Catalogue;
  readonly width: number;
  /** Items of a history that it takes. */
  readonly length: number;
  /** @param ids [batch, any length up to its own], left-padded with 0; @returns [batch, width] */
  state(ids: tf.Tensor2D, mode: Mode): tf.Tensor2D;
}

/** Learns every next item of a sequence at once. @param ahead items after a position that it learns to score */
export function causalEncoder(model: CausalModel, objective: ObjectiveOptions, ahead = 1): EncoderNetwork {
  const state = (history: tf.Tensor2D, mode: Mode): tf.Tensor2D => {
    if (model.last) return model.last(history, mode);
    const [batch, length] = history.shape;
    return tf.reshape(tf.slice(model.states(history, mode), [0, length - 1, 0], [batch, 1, model.width]), [batch, model.width]);
  };
  return network(model, state, (sequences, mode) => {
    const next = everyNext(batchOf(sequences), ahead);
    const { size, width } = next.batch;
    const all = model.states(tf.slice(sequences, [0, 0], [size, width - 1]), mode); // [size, width - 1, state]
    const rows = tf.reshape(all, [size * (width - 1), model.width]) as tf.Tensor2D;
    const places = next.rows.map((row, i) => row * (width - 1) + (next.columns[i] as number));
    const whole = places.length === rows.shape[0] && ahead === 1; // no padding
    const states = whole ? rows : tf.gather(rows, tf.tensor1d(places, "int32"));
    return nextItemLoss({ states, next, catalogue: model.catalogue, options: objective, mode });
  });
}

/** Learns some next items of each sequence, drawn anew at every step, each history by itself. @param targets how many */
export function historyEncoder(model: HistoryModel, objective: ObjectiveOptions, targets: number): EncoderNetwork {
  return network(
    model,
    (history, mode) => model.state(history, mode),
    (sequences, mode) => {
      const next: Questions = someNext(batchOf(sequences), targets, createRng("targets", mode.nextSeed()));
      const histories = tf.tensor2d(historiesOf(next, model.length), [next.rows.length, model.length], "int32");
      return nextItemLoss({ states: model.state(histories, mode), next, catalogue: model.catalogue, options: objective, mode });
    },
  );
}

function network(
  { catalogue, width }: Pick<CausalModel, "catalogue" | "width">,
  state: (history: tf.Tensor2D, mode: Mode) => tf.Tensor2D,
  loss: EncoderNetwork["loss"],
): EncoderNetwork {
  return {
    // state * item is what the dot product sums up, and lets the reranker weigh its parts; the sum itself is what the encoder was
    // fitted to rank by. The item's vector alone is left out: the reranker learns one of its own.
    width: width + 1,
    loss,
    features: (history, candidates, mode) => stateFeatures(state(history, mode), candidates, catalogue),
    scores: (history) => tf.matMul(state(history, evaluating), catalogue.all(), false, true),
  };
}

/** @param state [batch, width]; @param candidates [batch, list]; @returns [batch, list, width + 1]: state * item, and their sum */
export function stateFeatures(state: tf.Tensor2D, candidates: tf.Tensor2D, catalogue: Catalogue): tf.Tensor3D {
  const [batch, width] = state.shape;
  const items = tf.reshape(catalogue.of(tf.reshape(candidates, [candidates.size])), [batch, -1, width]); // [batch, list, width]
  const products = tf.mul(items, tf.expandDims(state, 1));
  return tf.concat([products, tf.sum(products, 2, true)], 2) as tf.Tensor3D;
}

/** A state's last entry is 1, so that the last column of the items' table is a bias of each. @param states [..., width - 1]; @returns [..., width] */
export function withOne<Rank extends tf.Tensor>(states: Rank): Rank {
  return tf.concat([states, tf.ones([...states.shape.slice(0, -1), 1])], states.rank - 1) as tf.Tensor as Rank;
}

/** 1 where there is an item, 0 where there is padding. @returns [batch, length] */
export function realOf(ids: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => tf.cast(tf.notEqual(ids, 0), "float32"));
}
