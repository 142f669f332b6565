import assert from "node:assert/strict";
import fc from "fast-check";
import type { Parts } from "../../../framework/contracts/dataset.js";
import { makeParts, type PartsProtocol } from "../../../framework/data/parts.js";
import { coded } from "../../support/dataset.js";

const split: PartsProtocol = { seed: 7, split: [0.8, 0.1, 0.1], align: 0, folds: 0 };
const folds: PartsProtocol = { ...split, align: 0.3, folds: 5 };

const union = (...sets: readonly Int32Array[]) => sets.flatMap((set) => [...set]).sort((a, b) => a - b);
const everyone = (users: number) => Array.from({ length: users }, (_, user) => user);
const withPart = ({ labels }: Parts, part: string) => everyone(labels.length).filter((user) => labels[user]?.part === part);

describe("makeParts", () => {
  it("splits users by the shares; the LLM is tuned on the train users", () => {
    const parts = makeParts(943, split, { folds: 2 });
    const [round] = parts.evaluate;
    assert.equal(parts.evaluate.length, 1);
    assert.deepEqual([round?.train.length, round?.valid.length, round?.test.length], [754, 95, 94]);
    assert.deepEqual([...parts.align], [...(round?.train ?? [])]);
    for (const part of ["train", "valid", "test"] as const) assert.deepEqual(withPart(parts, part), [...(round?.[part] ?? [])]);
    for (const reward of parts.reward)
      assert.deepEqual([...reward.valid], [...(round?.valid ?? [])], "the split's valid users stop every reward model");
    assert.deepEqual(
      parts.reward.map(({ train, test }) => [train.length, test.length]),
      [
        [377, 377],
        [377, 377],
      ],
    );
  });

  it("under folds sets the align users apart, tests every other user once, and takes a tenth of each round as valid", () => {
    const parts = makeParts(943, folds, { folds: 2 });
    assert.equal(parts.align.length, 283);
    assert.deepEqual(withPart(parts, "align"), [...parts.align]);
    assert.deepEqual(union(...parts.evaluate.map(({ test }) => test)), withPart(parts, "evaluate"));
    assert.equal(parts.evaluate.length, 5);
    for (const [fold, { train, valid, test }] of parts.evaluate.entries()) {
      assert.equal(test.length, 132);
      assert.equal(valid.length, 53);
      assert.deepEqual(union(train, valid, test), withPart(parts, "evaluate"));
      for (const user of test) assert.equal(parts.labels[user]?.fold, fold);
    }
    assert.deepEqual(union(...parts.reward.map(({ test }) => test)), [...parts.align]);
    for (const { train, valid, test } of parts.reward) {
      assert.deepEqual(union(train, valid, test), [...parts.align]);
      assert.equal(valid.length, 14);
    }
  });

  it("has neither align users nor reward rounds without an align share, and K rounds for K folds", () => {
    const parts = makeParts(100, { ...folds, align: 0 }, { folds: 2 });
    assert.deepEqual([parts.align.length, parts.reward.length, parts.evaluate.length], [0, 0, 5]);
    assert.equal(makeParts(100, folds, { folds: 3 }).reward.length, 3);
    assert.equal(makeParts(100, split, { folds: 4 }).reward.length, 4);
    assert.equal(makeParts(100, split, { folds: 0 }).reward.length, 0);
  });

  it("depends on the seed alone", () => {
    assert.deepEqual(makeParts(50, folds, { folds: 2 }), makeParts(50, folds, { folds: 2 }));
    assert.notDeepEqual(makeParts(50, folds, { folds: 2 }).align, makeParts(50, { ...folds, seed: 8 }, { folds: 2 }).align);
  });

  it("says what is too few", () => {
    assert.throws(() => makeParts(4, split, { folds: 2 }), coded("RLRF_DATA_PARTS", "4 users", "protocol.split"));
    assert.throws(() => makeParts(6, folds, { folds: 2 }), coded("RLRF_DATA_PARTS", "6 users", "5 folds"));
    assert.throws(() => makeParts(100, split, { folds: 1 }), coded("RLRF_DATA_PARTS", "alignment.rewardFolds"));
    assert.throws(() => makeParts(100, { ...folds, folds: 1 }, { folds: 2 }), coded("RLRF_DATA_PARTS", "protocol.folds"));
  });

  it("never lets an evaluated user near the align users or the reward", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 60, max: 200 }),
        fc.integer({ min: 2, max: 6 }),
        fc.integer({ min: 2, max: 4 }),
        fc.nat(),
        (users, k, rewardFolds, seed) => {
          const parts = makeParts(users, { ...folds, folds: k, seed }, { folds: rewardFolds });
          const shaped = new Set([...parts.align, ...parts.reward.flatMap(({ train, valid, test }) => union(train, valid, test))]);
          const evaluated = union(...parts.evaluate.flatMap(({ train, valid, test }) => [train, valid, test]));
          return evaluated.every((user) => !shaped.has(user));
        },
      ),
    );
  });
});
