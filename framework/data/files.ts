/** Prepared data in a folder: numbers as safetensors, records as JSON lines. */
import { join } from "node:path";
import type { ItemRecord, Parts, PreparedData, RatingScale, Round, UserRecord } from "../contracts/dataset.js";
import { readJson, readJsonLines, writeJson, writeJsonLines } from "../store/files.js";
import { hashOf } from "../store/hash.js";
import { readTensors, type StoredTensor, valuesOf, writeTensors } from "../store/tensors.js";

const partNames = ["train", "valid", "test", "align", "evaluate"] as const;
const roundKinds = ["evaluate", "reward"] as const;
const roundSets = ["train", "valid", "test"] as const;
const noFold = -1;

interface Summary {
  readonly listLength: number;
  readonly ratingScale: RatingScale;
  readonly rounds: Readonly<Record<(typeof roundKinds)[number], number>>;
  readonly counts: Readonly<Record<string, number>>;
}

export async function savePrepared(folder: string, data: PreparedData): Promise<void> {
  const { lists, parts, counts, ratingScale } = data;
  const rounds = { evaluate: parts.evaluate.length, reward: parts.reward.length };
  const summary: Summary = { listLength: lists.length, ratingScale, rounds, counts };
  await writeJsonLines(join(folder, "users.jsonl"), data.users);
  await writeJsonLines(join(folder, "items.jsonl"), data.items);
  await writeJson(join(folder, "prepared.json"), summary);
  await writeTensors(join(folder, "prepared.safetensors"), tensorsOf(data));
}

/** @throws RLRF_FILE_…, RLRF_TENSORS_… */
export async function loadPrepared(folder: string): Promise<PreparedData> {
  const { listLength, ratingScale, rounds, counts } = await readJson<Summary>(join(folder, "prepared.json"));
  const tensors = await readTensors(join(folder, "prepared.safetensors"));
  const integers = (name: string) => valuesOf(tensors, name, Int32Array);
  const bytes = (name: string) => valuesOf(tensors, name, Uint8Array);
  const roundsOf = (kind: (typeof roundKinds)[number]): Round[] =>
    Array.from({ length: rounds[kind] }, (_, k) => ({
      train: integers(`parts.${kind}.${k}.train`),
      valid: integers(`parts.${kind}.${k}.valid`),
      test: integers(`parts.${kind}.${k}.test`),
    }));
  const user = integers("lists.user");
  return {
    users: await readJsonLines<UserRecord>(join(folder, "users.jsonl")),
    items: await readJsonLines<ItemRecord>(join(folder, "items.jsonl")),
    ratingScale,
    sequence: {
      offsets: integers("sequence.offsets"),
      items: integers("sequence.items"),
      ratings: valuesOf(tensors, "sequence.ratings", Float32Array),
      relevant: bytes("sequence.relevant"),
    },
    windows: integers("windows"),
    lists: {
      count: user.length,
      length: listLength,
      user,
      start: integers("lists.start"),
      candidates: integers("lists.candidates"),
      labels: bytes("lists.labels"),
    },
    parts: {
      evaluate: roundsOf("evaluate"),
      align: integers("parts.align"),
      reward: roundsOf("reward"),
      labels: partLabels(bytes("parts.labels"), integers("parts.folds")),
    },
    counts,
  };
}

function tensorsOf({ sequence, windows, lists, parts }: PreparedData): Record<string, StoredTensor> {
  const flat = <Values extends StoredTensor["values"]>(values: Values) => ({ shape: [values.length], values });
  const table = <Values extends StoredTensor["values"]>(values: Values) => ({ shape: [lists.count, lists.length], values });
  const rounds = roundKinds.flatMap((kind) =>
    parts[kind].flatMap((round, k) => roundSets.map((set) => [`parts.${kind}.${k}.${set}`, flat(round[set])] as const)),
  );
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

function partLabels(part: Uint8Array, folds: Int32Array): Parts["labels"] {
  return Array.from(part, (index, user) => {
    const fold = folds[user] as number;
    return { part: partNames[index] as (typeof partNames)[number], ...(fold === noFold ? {} : { fold }) };
  });
}

/**
 * sha256 of users, items, interactions, windows, lists and parts: two runs with the same digest were evaluated on the same.
 * The reward's rounds are left out, so that `rlrf lists` and runs with other rewards agree on it.
 */
export function digestOf(data: PreparedData): string {
  const tensors = tensorsOf({ ...data, parts: { ...data.parts, reward: [] } });
  return hashOf({ users: data.users, items: data.items, listLength: data.lists.length, tensors });
}
