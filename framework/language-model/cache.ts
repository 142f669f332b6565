/**
 * Keys and values of generation. A slot is one prompt with `lanes` samples of it: the prompt's keys are there once and every
 * lane's queries meet them in one product; what the lanes wrote themselves is in blocks, `open` (grown by a token a step, small) and `sealed`.
 */
import * as tf from "@tensorflow/tfjs-core";
import { type DecoderConfig, groupSize } from "./config.js";
import type { Attend } from "./decoder.js";

/** Keys and values of one layer. */
export interface KeyValue {
  readonly key: tf.Tensor;
  readonly value: tf.Tensor;
}

/** The computed prompts of some slots, one entry a layer, each [slots, kvHeads, tokens, headDim], padded on the right. */
export interface Prefixes {
  readonly layers: readonly KeyValue[];
  readonly lengths: readonly number[];
}

interface LayerCache {
  prefix: KeyValue; // [slots, kvHeads, prefix, headDim]
  sealed: KeyValue | null; // [slots * kvHeads, lanes, sealed, headDim]
  open: KeyValue | null; // [slots * kvHeads, lanes, open, headDim]
}

const unseen = -1e9;
const both = (pair: KeyValue, change: (tensor: tf.Tensor) => tf.Tensor): KeyValue => ({ key: change(pair.key), value: change(pair.value) });
const joined = (pairs: readonly KeyValue[], axis: number): KeyValue =>
  pairs.length === 1
    ? both(pairs[0] as KeyValue, tf.clone)
    : {
        key: tf.concat(
          pairs.map(({ key }) => key),
          axis,
        ),
        value: tf.concat(
          pairs.map(({ value }) => value),
          axis,
        ),
      };
const held = (pair: KeyValue): KeyValue => both(pair, tf.keep);
/** Runs `make` and frees what it does not keep. */
function scoped<Result>(make: () => Result): Result {
  let result: Result | undefined;
  tf.tidy(() => {
    result = make();
  });
  return result as Result; // tidy ran `make` to its end
}
const freed = (pair: KeyValue | null): void => {
  if (pair !== null) tf.dispose([pair.key, pair.value]);
};

export class KeyValueCache {
  private layers: LayerCache[] = [];
  /** Prompt tokens of each slot. */
  private lengths: number[] = [];
  /** The step at which each slot began: sealed columns before it are not its own. */
  private born: number[] = [];
  private step = 0;
  /** The step of the first sealed column. */
  private base = 0;
  /** What some slot must not see is masked; null where every slot sees all. */
  private masks: { readonly prefix: tf.Tensor | null; readonly sealed: tf.Tensor | null } = { prefix: null, sealed: null };

  constructor(
    private readonly config: DecoderConfig,
    private readonly lanes: number,
  ) {}

  get slots(): number {
    return this.lengths.length;
  }

  /** Position of the next token of each slot. */
  positions(): readonly number[] {
    return this.lengths.map((length, slot) => length + this.step - (this.born[slot] as number));
  }

  /**
   * Ends a block: keeps these slots, in this order, and puts new prompts after them.
   * @param admitted is taken over (its tensors are freed here)
   */
  rearrange(kept: readonly number[], admitted: Prefixes | null): void {
    const lengths = [...kept.map((slot) => this.lengths[slot] as number), ...(admitted?.lengths ?? [])];
    const born = [...kept.map((slot) => this.born[slot] as number), ...(admitted?.lengths ?? []).map(() => this.step)];
    const base = Math.min(...born, this.step);
    const count = this.config.layers;
    this.layers = Array.from({ length: count }, (_, index) => {
      const old = this.layers[index];
      const next: LayerCache = scoped(() => ({
        prefix: held(this.nextPrefix(old, kept, admitted?.layers[index], Math.max(0, ...lengths))),
        sealed: this.nextSealed(old, kept, lengths.length, base),
        open: null,
      }));
      freed(old?.prefix ?? null);
      freed(old?.sealed ?? null);
      freed(old?.open ?? null);
      return next;
    });
    for (const pair of admitted?.layers ?? []) freed(pair);
    Object.assign(this, { lengths, born, base });
    this.resetMasks();
  }

  private nextPrefix(old: LayerCache | undefined, kept: readonly number[], admitted: KeyValue | undefined, length: number): KeyValue {
    const fitted = (tensor: tf.Tensor) => {
      const [, , tokens = 0] = tensor.shape;
      if (tokens === length) return tf.clone(tensor);
      if (tokens > length) return tf.slice(tensor, [0, 0, 0, 0], [-1, -1, length, -1]);
      return tf.pad(tensor, [
        [0, 0],
        [0, 0],
        [0, length - tokens],
        [0, 0],
      ]);
    };
    const parts: KeyValue[] = [];
    const unchanged = kept.length === this.slots && kept.every((slot, index) => slot === index);
    const select = (tensor: tf.Tensor) => (unchanged ? tensor : tf.gather(tensor, tf.tensor1d([...kept], "int32")));
    if (old !== undefined && kept.length > 0) parts.push(both(old.prefix, (tensor) => fitted(select(tensor))));
    if (admitted !== undefined) parts.push(both(admitted, fitted));
    return joined(parts, 0);
  }

  /** What the kept slots wrote since the first of them began, the open block joined to it; nothing for new ones. */
  private nextSealed(old: LayerCache | undefined, kept: readonly number[], slots: number, base: number): KeyValue | null {
    const columns = this.step - base;
    if (old === undefined || columns === 0) return null;
    const { kvHeads, headDim } = this.config;
    const written = [old.sealed, old.open].filter((pair) => pair !== null);
    const rows = tf.tensor1d(
      kept.flatMap((slot) => Array.from({ length: kvHeads }, (_, head) => slot * kvHeads + head)),
      "int32",
    );
    const select = (tensor: tf.Tensor) => {
      const from = (tensor.shape[2] as number) - columns;
      const own = tf.gather(tf.slice(tensor, [0, 0, from, 0], [-1, -1, columns, -1]), rows);
      return kept.length === slots ? own : tf.concat([own, tf.zeros([(slots - kept.length) * kvHeads, this.lanes, columns, headDim])], 0);
    };
    return held(both(joined(written, 2), select));
  }

  private resetMasks(): void {
    this.freeMasks();
    const { kvHeads } = this.config;
    const mask = (columns: number, sees: (slot: number, column: number) => boolean, repeat: number) => {
      const values = new Float32Array(this.slots * repeat * columns);
      let hidden = false;
      for (let row = 0; row < this.slots * repeat; row++) {
        for (let column = 0; column < columns; column++) {
          if (sees(Math.floor(row / repeat), column)) continue;
          values[row * columns + column] = unseen;
          hidden = true;
        }
      }
      return hidden ? tf.keep(tf.tensor4d(values, [this.slots * repeat, 1, 1, columns])) : null;
    };
    const columns = this.step - this.base;
    this.masks = scoped(() => ({
      prefix: mask(Math.max(0, ...this.lengths), (slot, column) => column < (this.lengths[slot] as number), 1),
      sealed: mask(columns, (slot, column) => this.base + column >= (this.born[slot] as number), kvHeads),
    }));
  }

  /**
   * Attention of one token a lane; the token's own key and value join the open block.
   * @param writing the lanes that have a token in this step, as slot * lanes + lane, ascending: the others' texts have ended
   */
  attend(writing: readonly number[]): Attend {
    const all = this.slots * this.lanes;
    const attend = this.attendAll;
    if (writing.length === all) return attend;
    // A lane that has ended takes part with the first one's token: its block stays as long as the others', and nobody reads it.
    const places = new Int32Array(all);
    for (const [row, place] of writing.entries()) places[place] = row;
    const [spread, taken] = [tf.tensor1d(places), tf.tensor1d(Int32Array.from(writing))];
    const toAll = (x: tf.Tensor3D): tf.Tensor3D => tf.gather(x, spread);
    return (layer, query, key, value) => tf.gather(attend(layer, toAll(query), toAll(key), toAll(value)), taken);
  }

  /** Of every lane, rows in the order slot, lane. */
  private get attendAll(): Attend {
    const { heads, kvHeads, headDim } = this.config;
    const { slots, lanes } = this;
    const group = groupSize(this.config);
    // [slots * lanes, count, headDim] -> [slots * kvHeads, lanes, count / kvHeads, headDim]
    const byKeyHead = (x: tf.Tensor3D, count: number) =>
      lanes === 1
        ? tf.reshape(x, [slots * kvHeads, 1, count / kvHeads, headDim])
        : tf.reshape(tf.transpose(tf.reshape(x, [slots, lanes, kvHeads, (count / kvHeads) * headDim]), [0, 2, 1, 3]), [
            slots * kvHeads,
            lanes,
            count / kvHeads,
            headDim,
          ]);
    return (index, query, key, value) => {
      const layer = this.layers[index] as LayerCache;
      const queries = byKeyHead(query, heads); // [slots * kvHeads, lanes, group, headDim]
      const token = { key: byKeyHead(key, kvHeads), value: byKeyHead(value, kvHeads) };
      const before = layer.open;
      layer.open = held(before === null ? joined([token], 2) : joined([before, token], 2));
      freed(before);
      const mixed = this.mix(layer, layer.open, queries, group); // [slots * kvHeads, lanes, group, headDim]
      if (lanes === 1) return tf.reshape(mixed, [slots, heads * headDim]) as tf.Tensor2D;
      const byLane = tf.transpose(tf.reshape(mixed, [slots, kvHeads, lanes, group * headDim]), [0, 2, 1, 3]);
      return tf.reshape(byLane, [slots * lanes, heads * headDim]) as tf.Tensor2D;
    };
  }

  private mix({ prefix, sealed }: LayerCache, open: KeyValue, queries: tf.Tensor, group: number): tf.Tensor {
    const { kvHeads, headDim } = this.config;
    const { slots, lanes } = this;
    const together = tf.reshape(queries, [slots, kvHeads, lanes * group, headDim]);
    const scored = (query: tf.Tensor, key: tf.Tensor, mask: tf.Tensor | null): tf.Tensor => {
      const plain = tf.matMul(query, key, false, true);
      return mask === null ? plain : tf.add(plain, mask);
    };
    const scores = [tf.reshape(scored(together, prefix.key, this.masks.prefix), [slots * kvHeads, lanes, group, -1])];
    if (sealed !== null) scores.push(scored(queries, sealed.key, this.masks.sealed));
    scores.push(tf.matMul(queries, open.key, false, true));
    const widths = scores.map(({ shape }) => shape[3] as number);
    const [onPrefix, ...onOwn] = tf.split(tf.softmax(tf.concat(scores, 3)), widths, 3) as [tf.Tensor, ...tf.Tensor[]];
    const fromPrefix = tf.matMul(tf.reshape(onPrefix, [slots, kvHeads, lanes * group, -1]), prefix.value);
    const own = sealed === null ? [open] : [sealed, open];
    const fromOwn = onOwn.map((weights, i) => tf.matMul(weights, (own[i] as KeyValue).value));
    return fromOwn.reduce((sum, part) => tf.add(sum, part), tf.reshape(fromPrefix, [slots * kvHeads, lanes, group, headDim]));
  }

  private freeMasks(): void {
    tf.dispose([this.masks.prefix, this.masks.sealed].filter((mask) => mask !== null));
    this.masks = { prefix: null, sealed: null };
  }

  /** A step is over: every lane's token is in the open block of every layer. */
  advance(): void {
    this.step++;
  }

  dispose(): void {
    for (const { prefix, sealed, open } of this.layers) for (const pair of [prefix, sealed, open]) freed(pair);
    this.freeMasks();
    this.layers = [];
    this.lengths = [];
  }
}
