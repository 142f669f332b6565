/** What a batch of sequences asks an encoder: which item comes next, and where. */
import type { Tensor2D } from "@tensorflow/tfjs-core";
import type { Rng } from "../contracts/plugin.js";

/** Sequences as numbers. */
export interface Batch {
  readonly size: number;
  readonly width: number;
  /** Left-padded with 0. [size * width] */
  readonly ids: Int32Array;
}

/** Questions to learn from: what comes after the history that ends at `column` of `row`? */
export interface Questions {
  readonly batch: Batch;
  readonly rows: Int32Array;
  /** The history's last item stands here. */
  readonly columns: Int32Array;
  readonly targets: Int32Array;
}

export function batchOf(sequences: Tensor2D): Batch {
  const [size, width] = sequences.shape;
  return { size, width, ids: sequences.dataSync<"int32">() };
}

/** Every item but the last of a sequence, with each of the up to `ahead` items that follow it. */
export function everyNext(batch: Batch, ahead = 1): Questions {
  const { size, width, ids } = batch;
  const [rows, columns, targets]: [number[], number[], number[]] = [[], [], []];
  for (let row = 0; row < size; row++)
    for (let column = 0; column < width - 1; column++) {
      if (ids[row * width + column] === 0) continue;
      for (let next = column + 1; next <= Math.min(column + ahead, width - 1); next++) {
        rows.push(row);
        columns.push(column);
        targets.push(ids[row * width + next] as number);
      }
    }
  return { batch, rows: Int32Array.from(rows), columns: Int32Array.from(columns), targets: Int32Array.from(targets) };
}

/** Up to `count` places of each sequence, drawn without repetition: for encoders that compute each history by itself. */
export function someNext(batch: Batch, count: number, rng: Rng): Questions {
  const { size, width, ids } = batch;
  const [rows, columns]: [number[], number[]] = [[], []];
  for (let row = 0; row < size; row++) {
    const real: number[] = [];
    for (let column = 0; column < width - 1; column++) if (ids[row * width + column] !== 0) real.push(column);
    for (const column of rng.shuffle(real).slice(0, count)) {
      rows.push(row);
      columns.push(column);
    }
  }
  const targets = rows.map((row, i) => ids[row * width + (columns[i] as number) + 1] as number);
  return { batch, rows: Int32Array.from(rows), columns: Int32Array.from(columns), targets: Int32Array.from(targets) };
}

/** The histories that the questions end, each a row of its own, left-padded. @returns [questions * length] */
export function historiesOf({ batch: { width, ids }, rows, columns }: Questions, length: number): Int32Array {
  const histories = new Int32Array(rows.length * length);
  for (const [i, row] of rows.entries()) {
    const end = (columns[i] as number) + 1;
    const from = Math.max(0, end - length);
    histories.set(ids.subarray(row * width + from, row * width + end), (i + 1) * length - (end - from));
  }
  return histories;
}
