/** What prepared data are known by: the digest that steps and results carry. */
import type { PreparedData } from "../contracts/dataset.js";
import { hashOf } from "../store/hash.js";
import type { StoredTensor } from "../store/tensors.js";

const partNames = ["train", "valid", "test", "align", "evaluate"] as const;
const roundSets = ["train", "valid", "test"] as const;
const noFold = -1;

/**
 * sha256 of users, items, interactions, windows, lists and parts: two runs with the same digest were evaluated on the same.
 * The reward's rounds are left out, so that `rlrf lists` and runs with other rewards agree on it.
 */
export function digestOf(data: PreparedData): string {
  return hashOf({ users: data.users, items: data.items, listLength: data.lists.length, tensors: tensorsOf(data) });
}

function tensorsOf({ sequence, windows, lists, parts }: PreparedData): Record<string, StoredTensor> {
  const flat = <Values extends StoredTensor["values"]>(values: Values) => ({ shape: [values.length], values });
  const table = <Values extends StoredTensor["values"]>(values: Values) => ({ shape: [lists.count, lists.length], values });
  const rounds = parts.evaluate.flatMap((round, k) => roundSets.map((set) => [`parts.evaluate.${k}.${set}`, flat(round[set])] as const));
  return {
    "sequence.offsets": flat(sequence.offsets),
    "sequence.items": flat(sequence.items),
    "sequence.ratings": flat(sequence.ratings),
    "sequence.relevant": flat(sequence.relevant),
    windows: flat(windows),
    "lists.user": flat(lists.user),
    "lists.start": flat(lists.start),
    "lists.candidates": table(lists.candidates),
    "lists.labels": table(lists.labels),
    "parts.align": flat(parts.align),
    "parts.labels": flat(Uint8Array.from(parts.labels, ({ part }) => partNames.indexOf(part))),
    "parts.folds": flat(Int32Array.from(parts.labels, ({ fold }) => fold ?? noFold)),
    ...Object.fromEntries(rounds),
  };
}
