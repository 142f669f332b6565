import assert from "node:assert/strict";
import { candidatesFor, ThreadCount } from "../../../../plugins/llms/llama-cpp/threads.js";

/** @param seconds of a step with so many threads @returns how many steps were taken with each */
function steps(count: ThreadCount, number: number, seconds: (threads: number, step: number) => number): Map<number, number> {
  const taken = new Map<number, number>();
  for (let step = 0; step < number; step++) {
    const { threads } = count;
    taken.set(threads, (taken.get(threads) ?? 0) + 1);
    count.took(seconds(threads, step));
  }
  return taken;
}

describe("how many threads llama.cpp computes with", () => {
  it("is found by trying, and seldom tried again while it stays the best", () => {
    const alone = steps(new ThreadCount([1, 4, 8]), 4000, (threads) => 8 / threads);
    assert.ok((alone.get(8) ?? 0) > 3950, [...alone].join(" "));
    const beside = steps(new ThreadCount([1, 4, 8]), 4000, (threads) => threads);
    assert.ok((beside.get(1) ?? 0) > 3950, [...beside].join(" "));
  });

  it("follows when others begin to compute, or end", () => {
    const count = new ThreadCount([1, 2]);
    steps(count, 500, (threads) => 2 / threads);
    assert.equal(count.threads, 2);
    steps(count, 1100, (threads) => threads);
    assert.equal(count.threads, 1);
    steps(count, 1100, (threads) => 2 / threads);
    assert.equal(count.threads, 2);
  });

  it("is what the user says, where the user says so", () => {
    assert.deepEqual([...steps(new ThreadCount([3]), 100, () => 1)], [[3, 100]]);
    assert.deepEqual([1, 2, 3, 16].map(candidatesFor), [[1], [1, 2], [1, 3], [1, 8, 16]]);
  });
});
