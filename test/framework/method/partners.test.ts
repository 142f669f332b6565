import assert from "node:assert/strict";
import fc from "fast-check";
import { partnersOf } from "../../../framework/method/partners.js";
import { createRng } from "../../../framework/rng.js";

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
