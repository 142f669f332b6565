import type { RewardBatch } from "../contracts/feedback.js";

/** Batches changed one by one, each when it is asked for, as often as they are asked for. */
export function mapBatches(
  batches: NonNullable<RewardBatch["others"]>,
  change: (batch: RewardBatch) => RewardBatch,
): AsyncIterable<RewardBatch> {
  return {
    async *[Symbol.asyncIterator]() {
      for await (const batch of batches) yield change(batch);
    },
  };
}
