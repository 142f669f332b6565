/** The arms of a run: which knowledge about users and items each one gives to the recommender. */
import { createRng } from "../rng.js";
import type { Knowledge } from "./recommender.js";

/** One row of the result: a name, and what the recommender hears in training and at test. */
export interface ArmKnowledge {
  readonly name: string;
  /** null: neither texts of users nor of items (`id-only`). */
  readonly knowledge: Knowledge | null;
  /** What each user's lists are tested with, when not the user's own vectors (`swapped`). [users * aspects * width] */
  readonly heardAtTest?: Float32Array;
}

/** A permutation without fixed points: everybody gets somebody else's text. [count] */
export function derangement(count: number, seed: number, label: string): Int32Array {
  const order = createRng(seed, "derangement", label).shuffle(Int32Array.from({ length: count }, (_, i) => i));
  const other = new Int32Array(count);
  for (let i = 0; i < count; i++) other[order[i] as number] = order[(i + 1) % count] as number;
  return other;
}

/** Every user silent: what remains is what the items' texts say (`item-only`). */
export function silent(knowledge: Knowledge): Knowledge {
  return { ...knowledge, users: new Float32Array(knowledge.users.length) };
}

/** Every user's vectors replaced by those of `other[user]` (`shuffled`). */
export function exchanged(knowledge: Knowledge, other: Int32Array): Knowledge {
  const size = knowledge.aspects * knowledge.width;
  const users = new Float32Array(knowledge.users.length);
  for (const [user, from] of other.entries()) users.set(knowledge.users.subarray(from * size, (from + 1) * size), user * size);
  return { ...knowledge, users };
}
