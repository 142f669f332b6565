import assert from "node:assert/strict";
import { requireTuningMemory } from "../../../framework/method/memory.js";
import { Lora } from "../../../plugins/tuners/lora.js";
import { testModel } from "../../support/decoder.js";
import { useEngine } from "../../support/engine.js";
import { assertFails } from "../../support/faults.js";

describe("memory of a run's tuning", () => {
  useEngine();
  const prompts = ["Genre", "Genre: drama, comedy, horror, drama, comedy, horror"].map((content) => [{ role: "user" as const, content }]);
  const sizes = { prompts, texts: 2, maxTokens: 20 };
  const alignment = { batchSize: 1, warmup: null };

  async function checked(memory: number, tuner: Lora | object, changes: object, body: (check: () => void) => unknown) {
    const engine = { name: "wasm", version: "", devices: [], threads: 1, memory, reason: "" } as const;
    const { model, dispose } = testModel({}, 1, undefined, { checkpointing: "off", engine });
    await body(() => requireTuningMemory({ tuner: tuner as Lora, policy: model, alignment: { ...alignment, ...changes } }, sizes));
    dispose();
  }

  it("is asked for the longest prompt with texts as long as they may be, before anything is written", async () => {
    const length = await new Promise<number>((resolve) => {
      const { model, dispose } = testModel();
      resolve(model.codec.prompt(prompts[1] ?? []).length + 2 * 20);
      dispose();
    });
    await checked(1e6, new Lora(), {}, (check) => check());
    const message = new RegExp(`tuning on 1 example of up to ${length} tokens at once needs about[\\s\\S]*"wasm"[\\s\\S]*TensorFlow`);
    await checked(1e5, new Lora(), {}, (check) => assertFails("RLRF_ENGINE_MEMORY", check, message));
  });

  it("is asked for the batches of the alignment, and of the warm-up", async () => {
    await checked(2e6, new Lora(), { batchSize: 64 }, (check) => assertFails("RLRF_ENGINE_MEMORY", check, /tuning on 64 examples/));
    await checked(2e6, new Lora(), { warmup: { batchSize: 99 } }, (check) =>
      assertFails("RLRF_ENGINE_MEMORY", check, /tuning on 99 examples/),
    );
  });

  it("is not asked for a tuner in another process", () => checked(1, {}, {}, (check) => assert.doesNotThrow(check)));
});
