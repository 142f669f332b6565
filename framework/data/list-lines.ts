/** The lines of `rlrf lists`: raw ids, for readers outside of this framework. Their schema is registry/lists.schema.json. */
import type { PreparedData } from "../contracts/dataset.js";

export interface ListLine {
  readonly user: string;
  readonly part: PreparedData["parts"]["labels"][number]["part"];
  /** From 0; null where the part has no folds. */
  readonly fold: number | null;
  /** Items of the knowledge window: all that a prompt may show. */
  readonly window: readonly string[];
  /** Items right before the list, oldest first. */
  readonly history: readonly string[];
  readonly candidates: readonly string[];
  readonly labels: readonly number[];
}

/** @param history `protocol.history`: how many items before a list the sequence encoder sees, at most */
export function* listLines({ users, items, sequence, windows, lists, parts }: PreparedData, history: number): Generator<ListLine> {
  const idsOf = (numbers: Int32Array) => Array.from(numbers, (item) => items[item]?.id as string);
  for (let list = 0; list < lists.count; list++) {
    const user = lists.user[list] as number;
    const begin = sequence.offsets[user] as number;
    const start = lists.start[list] as number;
    const slots = [list * lists.length, (list + 1) * lists.length] as const;
    const label = parts.labels[user] as PreparedData["parts"]["labels"][number];
    yield {
      user: users[user]?.id as string,
      part: label.part,
      fold: label.fold ?? null,
      window: idsOf(sequence.items.subarray(begin, begin + (windows[user] as number))),
      history: idsOf(sequence.items.subarray(Math.max(begin, start - history), start)),
      candidates: idsOf(lists.candidates.subarray(...slots)),
      labels: Array.from(lists.labels.subarray(...slots)),
    };
  }
}
