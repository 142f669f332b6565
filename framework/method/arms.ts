/** The arms of a run: which knowledge about users and items each one gives to the recommender. */
import { createRng } from "../rng.js";
import { type AnswerVectors, countOf, silentTexts, textsAt } from "./answer-vectors.js";
import type { Knowledge } from "./recommender.js";

/** One row of the result: a name, and what the recommender hears in training and at test. */
export interface ArmKnowledge {
  readonly name: string;
  /** null: neither texts of users nor of items (`id-only`). */
  readonly knowledge: Knowledge | null;
  /** What each user's lists are tested with, when not the user's own text (`swapped`). */
  readonly heardAtTest?: AnswerVectors;
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
  const { users } = knowledge;
  return { ...knowledge, users: silentTexts(countOf(users), users) };
}

/** Every user's text replaced by that of `other[user]` (`shuffled`). */
export function exchanged(knowledge: Knowledge, other: Int32Array): Knowledge {
  return { ...knowledge, users: textsAt(knowledge.users, other) };
}
