/** Datasets and protocols for tests, written by hand. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Dataset, ItemRecord, UserRecord } from "../../framework/contracts/dataset.js";
import { appendInteractions, appendItems, appendUsers } from "../../framework/data/records.js";
import type { Protocol } from "../../framework/spec/types.js";

/** user, item, rating, time */
export type TestInteraction = readonly [string, string, number, number];

export function datasetOf(
  interactions: readonly TestInteraction[],
  records: { readonly items?: readonly ItemRecord[]; readonly users?: readonly UserRecord[]; readonly relevantAbove?: number } = {},
): Dataset {
  return {
    relevantAbove: records.relevantAbove ?? 3,
    ratingScale: { lowest: 1, highest: 5 },
    async load(connection) {
      await appendInteractions(
        connection,
        interactions.map(([user, item, rating, time]) => ({ user, item, rating, time })),
      );
      await appendItems(connection, records.items ?? []);
      await appendUsers(connection, records.users ?? []);
      return { rowsRead: interactions.length };
    },
  };
}

export function protocolOf(overrides: Partial<Protocol> = {}): Protocol {
  return {
    window: 3,
    history: 4,
    listLength: 4,
    positives: 2,
    ties: "expected",
    seed: 7,
    split: [0.6, 0.2, 0.2],
    align: 0,
    folds: 0,
    metrics: ["ndcg@2"],
    ...overrides,
  };
}

/** `count` users with `each` interactions, all with items of their own choice among `items`, ratings 1 to 5 in turn. */
export function simpleInteractions(count: number, each: number, items: number): TestInteraction[] {
  return Array.from({ length: count * each }, (_, i) => {
    const user = Math.floor(i / each);
    const step = i % each;
    return [`${user + 1}`, `${((user * 3 + step * 5) % items) + 1}`, (i % 5) + 1, step] as const;
  });
}

/** A folder for the length of one `body`. */
export async function inTemporaryFolder<Result>(body: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), "rlrf-test-"));
  try {
    return await body(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** For assert.rejects and assert.throws: a coded error, whose text has all of these parts. */
export function coded(code: string, ...parts: readonly string[]): (error: unknown) => true {
  return (error) => {
    const { code: actual, message } = error as { readonly code?: string; readonly message: string };
    if (actual !== code) throw error;
    for (const part of parts) if (!message.includes(part)) throw new Error(`"${part}" is not in: ${message}`, { cause: error });
    return true;
  };
}
