import assert from "node:assert/strict";
import type { SamplingStrategy } from "../../../framework/contracts/feedback.js";
import type { TokenizedExample } from "../../../framework/contracts/llm.js";
import { requireMemoryOfRun, requireTuningMemory } from "../../../framework/method/memory.js";
import type { Study } from "../../../framework/method/study.js";
import { Lora } from "../../../plugins/tuners/lora.js";
import { testModel } from "../../support/decoder.js";
import { useEngine } from "../../support/engine.js";
import { assertFails } from "../../support/faults.js";
import { moviePrompt, movies } from "./data.js";

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

  it("is asked for as many texts as a pair has: chosen, rejected, and another user's where the loss needs one", () => {
    const textsOf = (rejected: SamplingStrategy["rejected"], needs: readonly string[], more: Partial<SamplingStrategy> = {}) => {
      const asked: number[] = [];
      const tuner = { requireMemory: (_: object, { completions }: TokenizedExample) => asked.push(completions.length) };
      const policy = { tokenize: () => ({ prompt: new Int32Array(1), completions: [] }) };
      const settings = { users: 0, heldOut: 0.5, batchSize: 1, warmup: null };
      const sampling = { rejected, samples: 10, needs: [], generation: { maxTokens: 1 }, ...more };
      const tuning = { tuner, policy, alignment: settings, sampling, loss: { loss: { needs } } };
      const data = { ...movies, parts: { ...movies.parts, align: Int32Array.of(0, 1) } };
      const spec = { prompt: moviePrompt, protocol: { seed: 7 }, alignment: settings };
      requireMemoryOfRun({ tuning, data, spec, parts: { reward: { reads: "text" } }, llmSeed: 1 } as unknown as Study);
      return asked;
    };
    assert.deepEqual(textsOf(0, []), [1]);
    assert.deepEqual(textsOf(1, ["reference"]), [2]);
    assert.deepEqual(textsOf(1, ["reference", "mismatched"]), [3]);
    assert.deepEqual(textsOf("many", ["mismatched"]), [11], "all ten samples, where the strategy does not say");
    assert.deepEqual(textsOf("ranked", []), [10]);
    assert.deepEqual(textsOf("many", [], { needs: ["greedy", "previous"] }), [12]);
    assert.deepEqual(textsOf("many", [], { rejectedAtMost: 3 }), [4]);
    assert.deepEqual(textsOf("many", [], { rejectedAtMost: 30 }), [10]);
    assert.deepEqual(textsOf(0, ["mismatched"]), [2]);
  });

  it("is not asked for a tuner in another process", () => checked(1, {}, {}, (check) => assert.doesNotThrow(check)));
});
