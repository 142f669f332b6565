import assert from "node:assert/strict";
import fs from "node:fs/promises";
import os from "node:os";
import { join } from "node:path";
import { FolderCheckpoint } from "../../../framework/tuning/checkpoint.js";
import type { TrainingState } from "../../../framework/tuning/training-loop.js";

function state(step: number): TrainingState {
  return {
    step,
    fingerprint: "f",
    parameters: { "a/b": { shape: [2], values: Float32Array.of(step, 2) } },
    optimiser: { first: { shape: [1], values: Float32Array.of(-step) } },
    objective: { mean: 0.1 * step },
    figures: Array.from({ length: step }, (_, i) => ({ ...figures, step: i })),
  };
}
const figures = { step: 0, steps: 9, loss: 1, gradNorm: 1, learningRate: 1, tokensPerSecond: 1 };

describe("checkpoints of a tuning", () => {
  let folder: string;
  beforeEach(async () => {
    folder = join(await fs.mkdtemp(join(os.tmpdir(), "rlrf-checkpoint-")), "warm-up");
  });

  it("gives back the last state and the figures of all steps so far", async () => {
    const saving = new FolderCheckpoint(folder);
    await saving.save(state(1));
    await saving.save(state(2));
    assert.deepEqual(await new FolderCheckpoint(folder).load(), state(2));
    assert.deepEqual((await fs.readdir(folder)).sort(), ["2.safetensors", "state.json"]);
  });

  it("begins again where there is nothing, or nothing whole", async () => {
    assert.equal(await new FolderCheckpoint(folder).load(), null);
    await new FolderCheckpoint(folder).save(state(3));
    await fs.writeFile(join(folder, "3.safetensors"), "torn");
    assert.equal(await new FolderCheckpoint(folder).load(), null);
  });

  it("keeps the older state when a kill falls between the tensors and the pointer", async () => {
    await new FolderCheckpoint(folder).save(state(4));
    await fs.writeFile(join(folder, "5.safetensors"), "half of the next");
    assert.equal((await new FolderCheckpoint(folder).load())?.step, 4);
  });
});
