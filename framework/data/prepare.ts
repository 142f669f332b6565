/** Step 0 of method.md: a dataset under a protocol becomes the windows, lists and parts that every later step works on. */
import type { Dataset, PreparedData, PreparedLists } from "../contracts/dataset.js";
import type { Protocol } from "../spec/types.js";
import { cutLists, usableUsers } from "./candidates.js";
import type { DatabaseOptions } from "./database.js";
import { readInteractions } from "./interactions.js";
import { hasRelevant } from "./labels.js";
import { assertNoLeakage } from "./leakage.js";
import { makeParts, type RewardFolds } from "./parts.js";

export { digestOf, loadPrepared, savePrepared } from "./files.js";

/** The same dataset, protocol and number of reward folds give the same data on every machine. @throws RLRF_DATA_… */
export async function prepare(
  dataset: Dataset,
  protocol: Protocol,
  reward: RewardFolds,
  database?: DatabaseOptions,
): Promise<PreparedData> {
  const interactions = await readInteractions(dataset, protocol.relevantAbove ?? dataset.relevantAbove, database);
  const usable = usableUsers(interactions, protocol);
  const { users, sequence, windows } = usable;
  const lists = cutLists(usable, interactions.items.length, protocol);
  const data: PreparedData = {
    users,
    items: interactions.items,
    ratingScale: dataset.ratingScale,
    sequence,
    windows,
    lists,
    parts: makeParts(users.length, protocol, reward),
    counts: { ...interactions.counts, ...usable.counts, lists: lists.count, listsWithoutRelevant: countWithoutRelevant(lists) },
  };
  assertNoLeakage(data);
  return data;
}

function countWithoutRelevant(lists: PreparedLists): number {
  let without = 0;
  for (let list = 0; list < lists.count; list++) if (!hasRelevant(lists, list)) without++;
  return without;
}
