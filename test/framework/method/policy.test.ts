import assert from "node:assert/strict";
import fc from "fast-check";
import type { PreparedData } from "../../../framework/contracts/dataset.js";
import type { Reward } from "../../../framework/contracts/feedback.js";
import { alignUsers, partnersOf } from "../../../framework/method/policy.js";
import type { Study } from "../../../framework/method/study.js";
import { createRng } from "../../../framework/rng.js";
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

describe("users whose texts come along with each other's", () => {
  const met = (users: number, partners: number, seed = 1) =>
    partnersOf(
      Array.from({ length: users }, (_, user) => user),
      partners,
      createRng(seed),
    );

  it("always meet each other, never themselves, nobody twice, and as many as asked for or as there are", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 1, max: 12 }), fc.nat(99), (users, half, seed) => {
        const theirs = met(users, 2 * half, seed);
        assert.equal(theirs.length, users);
        for (const [user, others] of theirs.entries()) {
          assert.equal(others.length, Math.min(2 * half, users - 1), `${users} users, ${2 * half} partners`);
          assert.equal(new Set([...others, user]).size, others.length + 1);
          for (const other of others) assert.ok(theirs[other]?.includes(user));
        }
      }),
    );
  });

  it("are drawn by the seed; who has no text meets nobody", () => {
    assert.deepEqual(met(20, 4), met(20, 4));
    assert.notDeepEqual(met(20, 4), met(20, 4, 2));
    assert.deepEqual(partnersOf(["a", undefined, "c"], 16, createRng(1)), [["c"], [], ["a"]]);
  });
});
