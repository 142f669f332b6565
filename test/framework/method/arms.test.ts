import assert from "node:assert/strict";
import fc from "fast-check";
import { written } from "../../../framework/method/answer-vectors.js";
import { derangement, exchanged, silent } from "../../../framework/method/arms.js";

const knowledge = {
  users: { aspects: 2, width: 1, rows: Int32Array.of(1, 2, 3, 4, 5, 6), table: Float32Array.of(0, 10, 20, 30, 40, 50, 60) },
  items: Float32Array.of(0, 7),
};

describe("arms", () => {
  it("gives everybody somebody else's text, and everybody's text to somebody", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 200 }), fc.integer(), (count, seed) => {
        const other = derangement(count, seed, "test");
        assert.deepEqual(
          [...other].sort((a, b) => a - b),
          [...Array(count).keys()],
        );
        assert.ok(other.every((from, user) => from !== user));
      }),
    );
  });

  it("draws the same derangement again for a seed, and another for another label", () => {
    assert.deepEqual(derangement(50, 7, "a"), derangement(50, 7, "a"));
    assert.notDeepEqual(derangement(50, 7, "a"), derangement(50, 7, "b"));
  });

  it("moves whole users when texts are exchanged, and leaves the items alone", () => {
    const moved = exchanged(knowledge, Int32Array.of(2, 0, 1));
    assert.deepEqual([...written(moved.users)], [50, 60, 10, 20, 30, 40]);
    assert.equal(moved.items, knowledge.items);
    assert.deepEqual([...knowledge.users.rows], [1, 2, 3, 4, 5, 6]);
  });

  it("silences users, not items", () => {
    assert.deepEqual([...written(silent(knowledge).users)], [0, 0, 0, 0, 0, 0]);
    assert.deepEqual([...silent(knowledge).items], [0, 7]);
  });
});
