import assert from "node:assert/strict";
import type { PreparedData } from "../../../framework/contracts/dataset.js";
import { roundOf } from "../../../framework/serving/rounds.js";

const spanned = (from: number, to: number) => Int32Array.from({ length: to - from }, (_, i) => from + i);

describe("whom promoted recommenders have learnt from", () => {
  it("a refit: everybody, however many, but for those that stop it", () => {
    const users = 300_000;
    const round = { train: spanned(100_000, 250_000), valid: spanned(250_000, users), test: spanned(0, 100_000) };
    const data = { parts: { evaluate: [round] } } as unknown as PreparedData;
    const [refit, number] = roundOf(data, "refit");
    assert.deepEqual([number, refit.test.length, refit.valid], [1, 0, round.valid]);
    assert.deepEqual(refit.train, spanned(0, 250_000));
  });
});
