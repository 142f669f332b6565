import assert from "node:assert/strict";
import { parseResult } from "../../../framework/method/read-result.js";
import type { Result } from "../../../framework/method/result.js";
import { assertFails } from "../../support/faults.js";

const nothing = { mean: Number.NaN, low: Number.NaN, high: Number.NaN };

/** Of a run none of whose valid and test users has a relevant item. */
const result: Result = {
  name: "empty",
  specHash: "abc",
  engine: { name: "cpu", version: "0", devices: [], threads: 1, memory: null, reason: "" },
  seeds: [1],
  arms: { "id-only": { "ndcg@5": nothing } },
  valid: { "id-only": { "ndcg@5": nothing } },
  tests: [{ arm: "metadata", against: "id-only", metric: "ndcg@5", difference: Number.NaN, p: 1, pHolm: 1 }],
  hearing: [{ texts: "metadata", users: 0, right: Number.NaN, swapped: Number.NaN, difference: nothing, deaf: true }],
  llm: {},
  iterations: [],
  counts: {},
  warnings: [],
  seconds: {},
};

describe("a result that is read", () => {
  it("is what was written, also where nothing could be averaged: JSON has no NaN", async () => {
    assert.deepEqual(await parseResult(JSON.stringify(result), "result.json"), result);
  });

  it("has no holes where a run would have ended before", async () => {
    const holed = JSON.stringify({ ...result, tests: [{ ...result.tests[0], p: null }] });
    await assertFails("RLRF_RESULT_FILE", () => parseResult(holed, "result.json"), /tests\/0\/p/);
  });
});
