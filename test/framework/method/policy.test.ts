import assert from "node:assert/strict";
import type { PreparedData } from "../../../framework/contracts/dataset.js";
import type { Reward } from "../../../framework/contracts/feedback.js";
import { alignUsers } from "../../../framework/method/policy.js";
import type { Study } from "../../../framework/method/study.js";
import { assertFails } from "../../support/faults.js";
import { movies } from "./data.js";

/** Ten users with a list each, relevant as the labels say. */
function dataOf(labels: (user: number) => number): PreparedData {
  const users = Array.from({ length: 10 }, (_, user) => ({ id: `u${user}`, fields: {} }));
  const numbers = Int32Array.from(users.keys());
  const lists = {
    ...{ count: 10, length: 2, user: numbers, start: new Int32Array(10), candidates: Int32Array.from({ length: 20 }, () => 1) },
    labels: Uint8Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? labels(i / 2) : 0)),
  };
  return { ...movies, users, lists, parts: { ...movies.parts, align: numbers } };
}

function studyOf(alignment: object | undefined, reads?: Reward["reads"], data = dataOf(() => 1)): Study {
  return { data, llmSeed: 1, spec: { protocol: { seed: 7 }, alignment }, parts: { reward: { reads } } } as unknown as Study;
}

describe("the users of an alignment", () => {
  it("are drawn, and dealt into those tuned on and those held out", () => {
    const { tuned, heldOut } = alignUsers(studyOf({ users: 5, heldOut: 0.4 }));
    assert.deepEqual([tuned.length, heldOut.length, new Set([...tuned, ...heldOut]).size], [3, 2, 5]);
    assert.deepEqual(alignUsers(studyOf(undefined)), { tuned: new Int32Array(), heldOut: new Int32Array() });
  });

  it("are some of each kind: nobody else could be judged by, or learnt from", async () => {
    const expected = /of 10 align users 10 are tuned on and 0 held out[\s\S]*\/alignment\/heldOut/;
    await assertFails("RLRF_DATA_PARTS", () => alignUsers(studyOf({ users: 0, heldOut: 0.04 })), expected);
    await assertFails(
      "RLRF_DATA_PARTS",
      () => alignUsers(studyOf({ users: 1, heldOut: 0.9 })),
      /of 1 align users 0 are tuned on and 1 held out/,
    );
  });

  it("are held out with a relevant item, or have no sampled reward; a reward that ranks nothing always gives one", async () => {
    const alignment = { users: 0, heldOut: 0.3 };
    const { heldOut } = alignUsers(studyOf(alignment));
    const dull = dataOf((user) => Number(!heldOut.includes(user)));
    await assertFails("RLRF_DATA_PARTS", () => alignUsers(studyOf(alignment, undefined, dull)), /none of the 3 held-out align users/);
    for (const reads of ["text", "structure"] as const) assert.deepEqual(alignUsers(studyOf(alignment, reads, dull)).heldOut, heldOut);
    const one = dataOf((user) => Number(user === heldOut[1]));
    assert.deepEqual(alignUsers(studyOf(alignment, undefined, one)).heldOut, heldOut);
  });
});
