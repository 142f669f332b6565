/** Examples that ask the same prompt, as one row of a batch: the prompt, and each text that stands in several of them, is computed once. */
import * as tf from "@tensorflow/tfjs-core";
import type { TokenizedExample } from "../contracts/llm.js";

export interface SharedPrompts {
  /** A prompt each, with its distinct completions. */
  readonly rows: readonly TokenizedExample[];
  /** By example where its completions stand. */
  readonly places: readonly (readonly Place[])[];
}

export interface Place {
  readonly row: number;
  readonly completion: number;
}

export function sharePrompts(examples: readonly TokenizedExample[]): SharedPrompts {
  const rows: { readonly prompt: Int32Array; readonly completions: Int32Array[]; readonly known: Map<string, number> }[] = [];
  const known = new Map<string, number>();
  const places = examples.map(({ prompt, completions }) => {
    const row = numberOf(known, prompt, () => rows.push({ prompt, completions: [], known: new Map() }));
    const own = rows[row] as (typeof rows)[number];
    return completions.map((completion) => ({ row, completion: numberOf(own.known, completion, () => own.completions.push(completion)) }));
  });
  return { rows: rows.map(({ prompt, completions }) => ({ prompt, completions })), places };
}

/** @param add appends it where it is new, and returns how many there are then */
function numberOf(known: Map<string, number>, tokens: Int32Array, add: () => number): number {
  const key = tokens.join();
  const found = known.get(key) ?? add() - 1;
  known.set(key, found);
  return found;
}

/** The same rows with as many completions each: those that are missing have no tokens, and so a log-prob of 0. */
export function alike(rows: readonly TokenizedExample[]): readonly TokenizedExample[] {
  const most = rows.reduce((width, { completions }) => Math.max(width, completions.length), 0);
  return rows.map(({ prompt, completions }) => ({
    prompt,
    completions: [...completions, ...Array.from({ length: most - completions.length }, () => new Int32Array())],
  }));
}

/** What stands at the places of each example. @param values [rows, completions] @returns [examples, completions] */
export function spread(values: tf.Tensor2D, places: SharedPrompts["places"]): tf.Tensor2D {
  const [, width] = values.shape;
  const flat = places.flatMap((own) => own.map(({ row, completion }) => row * width + completion));
  return tf.reshape(tf.gather(tf.reshape(values, [-1]), tf.tensor1d(flat, "int32")), [places.length, -1]);
}
