/** What the questions' targets are told apart from: items that are drawn as negatives. */
import type { Mode } from "../contracts/recommender.js";
import { createRng } from "../rng.js";
import type { Questions } from "./next-items.js";

export const waysToDraw = ["shared", "each", "in-batch"] as const;
export type Drawn = (typeof waysToDraw)[number];

export interface Negatives {
  /** [negatives] for all questions; with `each` [questions * negatives] */
  readonly items: Int32Array;
  /** 0 where a negative is none of a question's, else 1. [questions * negatives] */
  readonly counts: Float32Array;
}

/** @param count negatives of a question; `in-batch` as many as there are targets at most; @param catalogue items in it */
export function draw(next: Questions, drawn: Drawn, count: number, catalogue: number, mode: Mode): Negatives {
  const { rows, targets } = next;
  const rng = createRng("negatives", mode.nextSeed());
  if (drawn === "in-batch") {
    const from = rng.shuffle(Int32Array.from(targets.keys())).slice(0, count); // the questions whose targets they are
    const items = from.map((question) => targets[question] as number);
    const counts = matrix(targets.length, items.length, (q, i) => rows[from[i] as number] !== rows[q] && items[i] !== targets[q]);
    return { items, counts };
  }
  const own = drawn === "each" ? count : 0; // how far apart the negatives of two questions stand
  const items = Int32Array.from({ length: own === 0 ? count : own * targets.length }, () => 1 + rng.below(catalogue));
  return { items, counts: matrix(targets.length, count, (q, i) => items[q * own + i] !== targets[q]) };
}

/** 1 where it holds, else 0. [rows * columns] */
function matrix(rows: number, columns: number, holds: (row: number, column: number) => boolean): Float32Array {
  const values = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) if (holds(row, column)) values[row * columns + column] = 1;
  return values;
}

/** For each question `count` items, uniformly from what its sequence does not hold. @returns [count * questions] */
export function drawNegatives({ batch: { width, ids }, rows }: Questions, catalogue: number, mode: Mode, count = 1): Int32Array {
  const rng = createRng("negatives", mode.nextSeed());
  const drawn = new Int32Array(count * rows.length);
  const seenIn = new Int32Array(catalogue + 1).fill(-1); // the last row that holds the item
  let [present, seen] = [-1, 0];
  for (const [question, row] of rows.entries()) {
    if (row !== present) {
      [present, seen] = [row, 0];
      for (const item of ids.subarray(row * width, (row + 1) * width)) {
        if (item !== 0 && seenIn[item] !== row) seen++;
        seenIn[item] = row;
      }
    }
    for (let at = question; at < drawn.length; at += rows.length) {
      let item = 1 + rng.below(catalogue);
      while (seen < catalogue && seenIn[item] === row) item = 1 + rng.below(catalogue);
      drawn[at] = item;
    }
  }
  return drawn;
}
