import assert from "node:assert/strict";
import type { RewardBatch } from "../../../framework/contracts/feedback.js";
import { meanByText } from "../../../framework/feedback/mean-by-text.js";
import { Ndcg } from "../../../plugins/rewards/ndcg.js";
import { close } from "../../support/tensors.js";

const text = { user: 0, text: "", structureRate: 1 };

function batch(
  texts: number,
  lists: readonly { readonly text: number; readonly scores: readonly number[]; readonly labels: readonly number[] }[],
): RewardBatch {
  return {
    texts: Array.from({ length: texts }, () => text),
    lists: {
      text: Int32Array.from(lists, (list) => list.text),
      length: lists[0]?.scores.length ?? 0,
      scores: Float32Array.from(lists.flatMap((list) => list.scores)),
      labels: Uint8Array.from(lists.flatMap((list) => list.labels)),
    },
    ties: "expected",
  };
}

describe("ndcg reward", () => {
  it("is the mean over a text's lists, hand-computed", () => {
    const lists = [
      { text: 1, scores: [0.9, 0.5, 0.1], labels: [1, 0, 0] }, // 1
      { text: 0, scores: [0.9, 0.5, 0.1], labels: [0, 1, 0] }, // 1 / log2(3) = 0.630930
      { text: 1, scores: [0.1, 0.5, 0.9], labels: [1, 0, 0] }, // 1 / log2(4) = 0.5
    ];
    close(new Ndcg({ at: 5 }).reward(batch(2, lists)), [0.63093, 0.75], 1e-5);
    close(new Ndcg({ at: 2 }).reward(batch(2, lists)), [0.63093, 0.5], 1e-5); // rank 3 does not count
  });

  it("leaves out lists without a relevant item; a text with no other has no reward", () => {
    const lists = [
      { text: 0, scores: [0.9, 0.1], labels: [1, 0] },
      { text: 0, scores: [0.9, 0.1], labels: [0, 0] },
      { text: 1, scores: [0.9, 0.1], labels: [0, 0] },
    ];
    assert.deepEqual([...new Ndcg({ at: 5 }).reward(batch(3, lists))], [1, Number.NaN, Number.NaN]);
  });

  it("shares ties out, as the run's policy says", () => {
    const lists = [{ text: 0, scores: [0.5, 0.5], labels: [1, 0] }];
    close(new Ndcg({ at: 5 }).reward(batch(1, lists)), [(1 + 1 / Math.log2(3)) / 2], 1e-6);
    close(new Ndcg({ at: 5 }).reward({ ...batch(1, lists), ties: "pessimistic" }), [1 / Math.log2(3)], 1e-6);
  });

  it("the shared mean skips what has no value", () => {
    const lists = [0, 0, 1].map((of) => ({ text: of, scores: [0], labels: [0] }));
    assert.deepEqual([...meanByText(batch(2, lists), [1, Number.NaN, 3])], [1, 3]);
  });
});
