import assert from "node:assert/strict";
import fc from "fast-check";
import type { TiePolicy } from "../../../framework/contracts/feedback.js";
import { averagePrecision, metricByName, ndcg, type RankingMetric, reciprocalRank } from "../../../framework/metrics/ranking.js";
import { coded } from "../../support/dataset.js";

const close = (actual: number | undefined, expected: number) =>
  assert.ok(Math.abs((actual as number) - expected) < 1e-12, `${actual} is not ${expected}`);
const one = (metric: RankingMetric, scores: number[], labels: number[], k: number, ties: TiePolicy = "expected") =>
  metric(scores, Uint8Array.from(labels), labels.length, k, ties)[0];

describe("ndcg", () => {
  it("is what a hand computes: gain 2^label - 1, discount log2(rank + 1), the same list ideally ordered", () => {
    // Ranked: 0 1 0 1; DCG@4 = 1/log2 3 + 1/log2 5, ideal = 1 + 1/log2 3
    const [scores, labels] = [
      [4, 3, 2, 1],
      [0, 1, 0, 1],
    ];
    close(one(ndcg, scores, labels, 4), (1 / Math.log2(3) + 1 / Math.log2(5)) / (1 + 1 / Math.log2(3)));
    close(one(ndcg, scores, labels, 2), 1 / Math.log2(3) / (1 + 1 / Math.log2(3)));
    assert.equal(one(ndcg, scores, labels, 1), 0);
    // Graded: labels 2 then 3 have gains 3 and 7.
    close(one(ndcg, [2, 1], [2, 3], 2), (3 + 7 / Math.log2(3)) / (7 + 3 / Math.log2(3)));
  });

  it("is 1 for the ideal order, and looks no further than the list", () => {
    close(one(ndcg, [9, 8, 1, 0], [1, 1, 0, 0], 3), 1);
    close(one(ndcg, [9, 8], [1, 0], 10), 1);
  });

  it("treats ties as declared", () => {
    const [scores, labels] = [
      [1, 1, 1],
      [0, 1, 0],
    ];
    close(one(ndcg, scores, labels, 3, "optimistic"), 1);
    close(one(ndcg, scores, labels, 3, "pessimistic"), 1 / Math.log2(4));
    close(one(ndcg, scores, labels, 3, "expected"), (1 + 1 / Math.log2(3) + 1 / 2) / 3);
    close(one(ndcg, scores, labels, 1, "expected"), 1 / 3);
    close(one(ndcg, [-0, 0], [0, 1], 1, "expected"), 1 / 2);
  });
});

describe("averagePrecision", () => {
  it("is what a hand computes: divided by min(k, relevant)", () => {
    const [scores, labels] = [
      [5, 4, 3, 2, 1],
      [1, 0, 1, 0, 1],
    ];
    close(one(averagePrecision, scores, labels, 5), (1 + 2 / 3 + 3 / 5) / 3);
    close(one(averagePrecision, scores, labels, 3), (1 + 2 / 3) / 3);
    close(one(averagePrecision, scores, labels, 2), 1 / 2);
    close(one(averagePrecision, scores, labels, 1), 1);
  });

  it("treats ties as declared", () => {
    const [scores, labels] = [
      [1, 1, 1],
      [0, 1, 0],
    ];
    close(one(averagePrecision, scores, labels, 3, "optimistic"), 1);
    close(one(averagePrecision, scores, labels, 3, "pessimistic"), 1 / 3);
    close(one(averagePrecision, scores, labels, 3, "expected"), (1 + 1 / 2 + 1 / 3) / 3);
  });
});

describe("ranking metrics", () => {
  /** Every order of the candidates that the scores allow. */
  function* orders(scores: readonly number[], left = scores.map((_, i) => i), chosen: number[] = []): Generator<number[]> {
    if (left.length === 0) yield chosen;
    const best = Math.max(...left.map((i) => scores[i] as number));
    for (const i of left)
      if (scores[i] === best)
        yield* orders(
          scores,
          left.filter((other) => other !== i),
          [...chosen, i],
        );
  }

  for (const [name, metric] of Object.entries({ ndcg, averagePrecision, reciprocalRank }))
    it(`${name}: expected, best and worst over all orders of tied items, by brute force`, () => {
      const candidate = fc.tuple(fc.integer({ min: 0, max: 2 }), fc.integer({ min: 0, max: name === "ndcg" ? 3 : 1 }));
      fc.assert(
        fc.property(fc.array(candidate, { minLength: 1, maxLength: 6 }), fc.integer({ min: 1, max: 7 }), (list, k) => {
          const [scores, labels] = [list.map(([score]) => score), list.map(([, label]) => label)];
          fc.pre(labels.some((label) => label > 0));
          // Each order is ranked by scores of its own, which have no ties.
          const values = [...orders(scores)].map(
            (order) =>
              one(
                metric,
                order.map((_, rank) => -rank),
                order.map((i) => labels[i] as number),
                k,
              ) as number,
          );
          close(one(metric, scores, labels, k, "expected"), values.reduce((sum, value) => sum + value, 0) / values.length);
          close(one(metric, scores, labels, k, "optimistic"), Math.max(...values));
          close(one(metric, scores, labels, k, "pessimistic"), Math.min(...values));
        }),
        { numRuns: 300 },
      );
    });

  it("give NaN for lists without a relevant item, and keep lists apart", () => {
    const values = ndcg(Float32Array.of(1, 2, 5, 4, 3, 3), Uint8Array.of(0, 1, 0, 0, 1, 1), 2, 2, "expected");
    close(values[0], 1);
    assert.ok(Number.isNaN(values[1]));
    close(values[2], 1);
  });

  it("refuse scores that are not numbers, naming the list, and lists that do not fit", () => {
    assert.throws(
      () => ndcg([1, 2, 3, Number.NaN], new Uint8Array(4), 2, 2, "expected"),
      coded("RLRF_METRIC_NAN", "candidate 1", "list 1"),
    );
    assert.throws(() => ndcg([1, 2, 3], new Uint8Array(3), 2, 2, "expected"), coded("RLRF_INTERNAL"));
    close(one(ndcg, [Number.POSITIVE_INFINITY, 0, Number.NEGATIVE_INFINITY], [1, 0, 0], 1), 1);
  });

  it("do not change what they are given", () => {
    const scores = Float32Array.of(1, 2, 3);
    const labels = Uint8Array.of(1, 0, 1);
    ndcg(scores, labels, 3, 3, "expected");
    assert.deepEqual(
      [[...scores], [...labels]],
      [
        [1, 2, 3],
        [1, 0, 1],
      ],
    );
  });

  it("rank 200,000 lists of 10 in well under a second", () => {
    const lists = 200_000;
    const scores = Float32Array.from({ length: lists * 10 }, (_, i) => Math.sin(i * 12.9898) * 43758.5453);
    const labels = Uint8Array.from({ length: lists * 10 }, (_, i) => Number(i % 3 === 0));
    const begun = performance.now();
    ndcg(scores, labels, 10, 5, "expected");
    averagePrecision(scores, labels, 10, 5, "expected");
    const milliseconds = performance.now() - begun;
    assert.ok(milliseconds < 1500, `both took ${milliseconds.toFixed(0)} ms`);
  });

  it("are found by name", () => {
    const metric = metricByName("map@3");
    assert.deepEqual([metric.name, metric.at], ["map@3", 3]);
    close(metric.measure([3, 2, 1], Uint8Array.of(0, 1, 1), 3, "expected")[0], (1 / 2 + 2 / 3) / 2);
    for (const name of ["ndcg", "ndcg@0", "mrr@5", "ndcg@5 ", "constructor@1"])
      assert.throws(() => metricByName(name), coded("RLRF_METRIC_NAME", "ndcg@K or map@K"));
  });
});
