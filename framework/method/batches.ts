/** Rows in batches, and what a batch has in common. */
import type { Rng } from "../contracts/plugin.js";

/** @returns consecutive pieces of at most `size`; views, not copies */
export function chunks(rows: Int32Array, size: number): Int32Array[] {
  return Array.from({ length: Math.ceil(rows.length / size) }, (_, i) => rows.subarray(i * size, (i + 1) * size));
}

/** The rows in a random order, in batches. */
export function shuffledBatches(rows: Int32Array, size: number, rng: Rng): Int32Array[] {
  return chunks(rng.shuffle(Int32Array.from(rows)), size);
}

/**
 * The rows in batches of similar length, so that little of a batch is padding, the batches in a random order. Lengths are
 * blurred by a tenth, so that every epoch deals the rows anew.
 */
export function bucketedBatches(lengths: ArrayLike<number>, size: number, rng: Rng): Int32Array[] {
  const blurred = Float64Array.from(lengths, (length) => length * (1 + 0.1 * rng.uniform()));
  const order = Int32Array.from(blurred.keys()).sort((a, b) => (blurred[a] as number) - (blurred[b] as number));
  return rng.shuffle(chunks(order, size));
}

/** Numbers the distinct values of arrays; one instance serves many calls without clearing its table. */
export class Distinct {
  private readonly stamps: Int32Array;
  private readonly places: Int32Array;
  private stamp = 0;

  /** @param bound values are below it */
  constructor(bound: number) {
    this.stamps = new Int32Array(bound);
    this.places = new Int32Array(bound);
  }

  /** @returns `values[i] === distinct[index[i]]`, distinct in the order of their first appearance */
  of(values: Int32Array): { readonly distinct: Int32Array; readonly index: Int32Array } {
    this.stamp++;
    const distinct = new Int32Array(values.length);
    const index = new Int32Array(values.length);
    let count = 0;
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as number;
      if (this.stamps[value] !== this.stamp) {
        this.stamps[value] = this.stamp;
        this.places[value] = count;
        distinct[count++] = value;
      }
      index[i] = this.places[value] as number;
    }
    return { distinct: distinct.subarray(0, count), index };
  }
}
