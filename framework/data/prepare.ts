/** Step 0 of method.md: a dataset under a protocol becomes the windows, lists and parts that every later step works on. */
import type { Dataset, PreparedData, PreparedLists } from "../contracts/dataset.js";
import type { Logger } from "../contracts/plugin.js";
import { RlrfError } from "../errors.js";
import type { Protocol } from "../spec/types.js";
import { cutLists, usableUsers } from "./candidates.js";
import type { DatabaseOptions } from "./database.js";
import { readInteractions } from "./interactions.js";
import { hasRelevant } from "./labels.js";
import { assertNoLeakage } from "./leakage.js";
import { makeParts, type RewardFolds } from "./parts.js";

export { digestOf } from "./digest.js";

/** The same dataset, protocol and number of reward folds give the same data on every machine. @throws RLRF_DATA_… */
export async function prepare(
  dataset: Dataset,
  protocol: Protocol,
  reward: RewardFolds,
  database?: DatabaseOptions,
): Promise<PreparedData> {
  const relevantAbove = protocol.relevantAbove ?? dataset.relevantAbove;
  const interactions = await readInteractions(dataset, relevantAbove, database);
  const usable = usableUsers(interactions, protocol);
  const { users, sequence, windows } = usable;
  const lists = cutLists(usable, interactions.items.length, protocol);
  const listsWithoutRelevant = countWithoutRelevant(lists);
  if (listsWithoutRelevant === lists.count) throw nothingRelevant(usable.sequence.ratings, relevantAbove);
  const data: PreparedData = {
    users,
    items: interactions.items,
    ratingScale: dataset.ratingScale,
    sequence,
    windows,
    lists,
    parts: makeParts(users.length, protocol, reward),
    counts: { ...interactions.counts, ...usable.counts, lists: lists.count, listsWithoutRelevant },
  };
  assertNoLeakage(data);
  return data;
}

/** Skipped rows are told where they are looked at, not only counted in the result. */
export function warnOfSkippedRows({ counts }: Pick<PreparedData, "counts">, logger: Logger): void {
  const skipped = Object.entries({ badInteractions: "interaction", badItems: "item", badUsers: "user" }).flatMap(([name, what]) => {
    const count = counts[name] ?? 0;
    return count === 0 ? [] : `${count} ${what}${count === 1 ? "" : "s"}`;
  });
  if (skipped.length > 0)
    logger.warn("RLRF_DATA_ROW", `malformed rows were skipped, as the dataset's option onBadRow says: ${skipped.join(", ")}`);
}

function countWithoutRelevant(lists: PreparedLists): number {
  let without = 0;
  for (let list = 0; list < lists.count; list++) if (!hasRelevant(lists, list)) without++;
  return without;
}

/** Every metric of every arm would be without a value. */
function nothingRelevant(ratings: Float32Array, relevantAbove: number): RlrfError {
  const lowest = ratings.reduce((least, rating) => Math.min(least, rating), Number.POSITIVE_INFINITY);
  const highest = ratings.reduce((most, rating) => Math.max(most, rating), Number.NEGATIVE_INFINITY);
  return new RlrfError("RLRF_DATA_EMPTY", {
    message: `no list has a relevant item: none that a list is cut from is rated above ${relevantAbove}`,
    where: "/protocol/relevantAbove, else the dataset's own threshold",
    expected: `a threshold below some ratings; these go from ${lowest} to ${highest}`,
  });
}
