/** Tests of tensors: the engine, started once for all of them, and the check that nothing is left behind. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { type EngineName, startEngine } from "../../framework/tensor/engine.js";

/** Starts the engine before the tests of the enclosing `describe` (or file). */
export function useEngine(wanted: "auto" | EngineName = "auto"): void {
  before(async function () {
    this.timeout(60_000);
    await startEngine(wanted);
  });
  // Files that ask outside a `describe` do so once for the whole process: whoever asks for another engine hands theirs back.
  if (wanted !== "auto") after(() => startEngine("auto"));
}

/** Runs `body` and asserts that it left as many tensors as it found. */
export async function assertNoLeak<Result>(body: () => Result | Promise<Result>): Promise<Result> {
  const before = tf.memory().numTensors;
  const result = await body();
  assert.equal(tf.memory().numTensors, before, "tensors leaked");
  return result;
}
