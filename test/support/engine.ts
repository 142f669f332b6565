/** Tests of tensors: the engine, started once for all of them, and the check that nothing is left behind. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { startEngine } from "../../framework/tensor/engine.js";

/** Starts the engine before the tests of the enclosing `describe` (or file): one engine serves the whole process. */
export function useEngine(): void {
  before(async function () {
    this.timeout(60_000);
    await startEngine();
  });
}

/** Runs `body` and asserts that it left as many tensors as it found. */
export async function assertNoLeak<Result>(body: () => Result | Promise<Result>): Promise<Result> {
  const before = tf.memory().numTensors;
  const result = await body();
  assert.equal(tf.memory().numTensors, before, "tensors leaked");
  return result;
}
