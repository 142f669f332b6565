import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { bucketedBatches, chunks, Distinct, shuffledBatches } from "../../../framework/method/batches.js";
import { nextItemNdcg } from "../../../framework/method/next-item.js";
import { leaveLastOut, listHistories, paddedBatch, trainingRows } from "../../../framework/method/sequences.js";
import { createRng } from "../../../framework/rng.js";
import { useEngine } from "../../support/engine.js";
import { assertFails } from "../../support/faults.js";
import { withoutLeak } from "../../support/tensors.js";
import { movies } from "./data.js";

const rowsOf = ({ items, begin, end }: { items: Int32Array; begin: Int32Array; end: Int32Array }) =>
  Array.from(begin, (from, row) => [...items.subarray(from, end[row])]);

describe("sequences", () => {
  useEngine();

  it("are left-padded, as narrow as their longest needs, and keep the latest items", () =>
    withoutLeak(() =>
      tf.tidy(() => {
        const sequences = { items: Int32Array.of(1, 2, 3, 4, 5, 6), begin: Int32Array.of(0, 4, 2), end: Int32Array.of(4, 5, 2) };
        assert.deepEqual(paddedBatch(sequences, [0, 1, 2], 3).arraySync(), [
          [2, 3, 4],
          [0, 0, 5],
          [0, 0, 0],
        ]);
        assert.deepEqual(paddedBatch(sequences, [1], 3).arraySync(), [[5]]);
        assert.deepEqual(paddedBatch(sequences, [2], 3).arraySync(), [[0]]); // nobody: one padding
      }),
    ));

  it("of a list are what its user met right before it, and nothing else", () => {
    assert.deepEqual(rowsOf(listHistories(movies)), [[1, 2, 3, 4]]);
  });

  it("for training: every interaction but a user's first is a target exactly once", () => {
    assert.deepEqual(rowsOf(trainingRows(movies.sequence, Int32Array.of(0, 1), 3)), [
      [3, 4, 5, 6],
      [1, 2, 3],
      [5, 6],
    ]);
    assert.deepEqual(
      rowsOf(trainingRows(movies.sequence, Int32Array.of(0), 3, 2)),
      [
        [3, 4, 5, 6],
        [1, 2, 3, 4],
      ],
      "overlapping",
    );
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 6 }),
        (lengths, width) => {
          const offsets = Int32Array.from([0, ...lengths.map((_, i) => lengths.slice(0, i + 1).reduce((a, b) => a + b))]);
          const total = offsets[lengths.length] as number;
          const sequence = {
            offsets,
            items: Int32Array.from({ length: total }, (_, i) => i + 1),
            ratings: new Float32Array(),
            relevant: new Uint8Array(),
          };
          const rows = rowsOf(trainingRows(sequence, Int32Array.from(lengths.keys()), width));
          assert.ok(rows.every((row) => row.length >= 2 && row.length <= width + 1));
          const targets = rows.flatMap((row) => row.slice(1)).sort((a, b) => a - b);
          const firsts = new Set(lengths.map((_, user) => (offsets[user] as number) + 1));
          assert.deepEqual(
            targets,
            [...sequence.items].filter((item) => !firsts.has(item)),
          );
        },
      ),
    );
  });

  it("leave the last one out", () => {
    const { histories, targets } = leaveLastOut(movies.sequence, Int32Array.of(1, 0));
    assert.deepEqual(rowsOf(histories), [[5], [1, 2, 3, 4, 5]]);
    assert.deepEqual([...targets], [6, 6]);
  });

  it("next-item NDCG: by hand, seen items left out, ties in the middle", () => {
    const histories = { items: Int32Array.of(1, 2, 3, 4), begin: Int32Array.of(0, 2), end: Int32Array.of(2, 3) };
    const network = {
      ...{ width: 0, loss: () => tf.scalar(0), features: () => tf.zeros<tf.Rank.R3>([1, 1, 1]) },
      scores: () =>
        tf.tensor2d([
          [99, 9, 8, 5, 4, 6], // seen 1 and 2; target 4 comes after 5 and 3: rank 3, 1 / log2(4)
          [99, 1, 1, 9, 1, 0], // seen 3; target 4 ties with 1 and 2: rank 2, 1 / log2(3)
        ]),
    };
    const value = withoutLeak(() => nextItemNdcg(network, { histories, targets: Int32Array.of(4, 4) }, 5, 10));
    assert.ok(Math.abs(value - (0.5 + 1 / Math.log2(3)) / 2) < 1e-12);
    assert.ok(Math.abs(nextItemNdcg(network, { histories, targets: Int32Array.of(4, 4) }, 5, 2) - 1 / Math.log2(3) / 2) < 1e-12);
    // left in: ranks 5 (the last) and 3 (after 3, in the middle of three)
    const whole = nextItemNdcg(network, { histories, targets: Int32Array.of(4, 4) }, 5, 10, "in");
    assert.ok(Math.abs(whole - (1 / Math.log2(6) + 1 / 2) / 2) < 1e-12);
  });

  it("next-item NDCG: a score that is not a number has no rank, whether the target's or another item's", async () => {
    const histories = { items: Int32Array.of(1), begin: Int32Array.of(0), end: Int32Array.of(1) };
    const ndcgOf = (...scores: number[]) => {
      const network = {
        ...{ width: 0, loss: () => tf.scalar(0), features: () => tf.zeros<tf.Rank.R3>([1, 1, 1]) },
        scores: () => tf.tensor2d([scores]),
      };
      return nextItemNdcg(network, { histories, targets: Int32Array.of(2) }, 5, 10);
    };
    await assertFails("RLRF_METRIC_NAN", () => ndcgOf(0, 1, Number.NaN, 3), /history 0/);
    await assertFails("RLRF_METRIC_NAN", () => ndcgOf(0, 1, 2, Number.NaN));
    assert.equal(ndcgOf(Number.NaN, Number.NaN, 2, 1), 1, "padding and what the user has met are not ranked");
  });
});

describe("batches", () => {
  it("hold every row once", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 50 })), fc.integer({ min: 1, max: 8 }), (lengths, size) => {
        const all = Int32Array.from(lengths.keys());
        for (const batches of [
          chunks(all, size),
          shuffledBatches(all, size, createRng("b")),
          bucketedBatches(lengths, size, createRng("b")),
        ]) {
          assert.ok(batches.every((batch) => batch.length <= size && batch.length > 0));
          assert.deepEqual(
            batches.flatMap((batch) => [...batch]).sort((a, b) => a - b),
            [...all],
          );
        }
      }),
    );
  });

  it("of similar length stay together", () => {
    const lengths = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? 10 : 100));
    for (const batch of bucketedBatches(lengths, 10, createRng("b"))) assert.equal(new Set([...batch].map((row) => lengths[row])).size, 1);
  });

  it("number their distinct values in order of appearance, call after call", () => {
    const distinct = new Distinct(10);
    for (let call = 0; call < 2; call++)
      assert.deepEqual(distinct.of(Int32Array.of(7, 3, 7, 9, 3)), {
        distinct: Int32Array.of(7, 3, 9),
        index: Int32Array.of(0, 1, 0, 2, 1),
      });
  });
});
