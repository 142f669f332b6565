import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import type { GenerationParameters } from "../../../framework/contracts/llm.js";
import { decode, logits } from "../../../framework/language-model/decoder.js";
import type { LanguageModel } from "../../../framework/language-model/model.js";
import { attendWithin } from "../../../framework/language-model/attention.js";
import { Rotary } from "../../../framework/language-model/rotary.js";
import { createAssets } from "../../../framework/setup/assets.js";
import { packageRoot } from "../../../framework/setup/paths.js";
import { type EngineInfo, startEngine } from "../../../framework/tensor/engine.js";
import { CausalLm } from "../../../plugins/llms/causal-lm.js";
import { assertNoLeak } from "../../support/engine.js";
import { assertFails } from "../../support/faults.js";
import { smollm2, smollm2Path } from "../../support/smollm2.js";

interface Golden {
  readonly logits: readonly {
    readonly text: string;
    readonly tokens: readonly number[];
    readonly columns: readonly number[];
    readonly values: readonly (readonly number[])[];
  }[];
  readonly greedy: readonly { readonly question: string; readonly prompt: number; readonly text: string }[];
}
const golden = JSON.parse(readFileSync(join(packageRoot, "test/golden/smollm2.json"), "utf8")) as Golden;

const greedy: GenerationParameters = { temperature: 0, topK: 0, topP: 1, minP: 0, maxTokens: 40, stop: [] };
const silent = { start: () => ({ advance() {}, end() {} }) };

/** Logits of every position, by one whole pass. [tokens, vocabulary] */
function allLogits({ config, weights }: LanguageModel, tokens: readonly number[]): tf.Tensor2D {
  const { length } = tokens;
  const rotary = new Rotary(config);
  try {
    return tf.tidy(() => {
      const mask = Float32Array.from({ length: length * length }, (_, i) => (i % length > Math.floor(i / length) ? -1e9 : 0));
      const input = { tokens: tf.tensor1d([...tokens], "int32"), rotation: rotary.at(Int32Array.from(tokens, (_, at) => at)) };
      const attend = attendWithin(config, 1, length, tf.tensor4d(mask, [1, 1, length, length]));
      return logits(config, weights, decode(config, weights, input, attend));
    });
  } finally {
    rotary.dispose();
  }
}

describe("llms/causal-lm", function () {
  this.timeout(600_000); // the first run fetches the model
  let engine: EngineInfo;
  const build = (model: string, on = engine) => new CausalLm({ model, checkpointing: "auto", template: {} }, createAssets(), on, silent);
  let llm: CausalLm;
  const model = () => llm.policy as LanguageModel;
  before(async () => {
    engine = await startEngine();
    llm = build(smollm2);
    await llm.prepare();
  });
  after(() => llm.dispose());

  it("has transformers' logits on the same file, at every position", () => {
    for (const { tokens, columns, values } of golden.logits) {
      tf.tidy(() => {
        const all = allLogits(model(), tokens).arraySync();
        values.forEach((row, position) => {
          row.forEach((expected, i) => {
            const found = all[position]?.[columns[i] as number] as number;
            assert.ok(Math.abs(found - expected) < 1e-3, `position ${position}, token ${columns[i]}: ${found}, expected ${expected}`);
          });
        });
      });
    }
  });

  it("writes transformers' greedy texts for twenty prompts", async () => {
    const messages = golden.greedy.map(({ question }) => [{ role: "user", content: question } as const]);
    assert.deepEqual(
      messages.map((own) => model().codec.prompt(own).length),
      golden.greedy.map(({ prompt }) => prompt),
    );
    const texts = await llm.generate(
      messages.map((own, i) => ({ user: `${i}`, messages: own, samples: 1, seed: 1 })),
      greedy,
    );
    assert.deepEqual(
      texts.map(([text]) => text?.text),
      golden.greedy.map(({ text }) => text),
    );
  });

  it("is the same model by its file, and another one with an adapter", async () => {
    const byFile = build(await smollm2Path());
    await byFile.prepare();
    assert.equal(byFile.identity(), llm.identity());
    byFile.policy.attach({ rank: 2, alpha: 2, dropout: 0, targets: ["q_proj"] }, 1);
    for (const variable of byFile.policy.trainable()) tf.tidy(() => variable.assign(tf.ones(variable.shape)));
    assert.notEqual(byFile.identity(), llm.identity());
    byFile.dispose();
  });

  it("frees everything", () =>
    assertNoLeak(async () => {
      const other = build(smollm2);
      await other.prepare();
      await other.generate([{ user: "1", messages: [{ role: "user", content: "Hi" }], samples: 2, seed: 1 }], { ...greedy, maxTokens: 2 });
      other.dispose();
    }));

  it("answers only after it was prepared, and says before it loads that an engine is too small", async () => {
    await assertFails("RLRF_LLM_UNPREPARED", () => build(smollm2).identity());
    const small = { ...engine, name: "wasm", memory: 5e8 } as const;
    await assertFails("RLRF_ENGINE_MEMORY", () => build(smollm2, small).prepare(), /wasm[\s\S]*0\.5 GB[\s\S]*TensorFlow/);
    const limited = build(smollm2, { ...engine, name: "wasm", memory: 2 ** 31 });
    await limited.prepare();
    const example = limited.policy.tokenize([{ role: "user", content: "drama ".repeat(4000) }], [{ text: "Genre: Drama", ended: true }]);
    await assertFails(
      "RLRF_ENGINE_MEMORY",
      () => limited.policy.requireMemory?.([example], 1),
      /tuning on 1 example of up to 40\d\d tokens[\s\S]*wasm/,
    );
    limited.dispose();
    await assertFails("RLRF_CHECKPOINT_MISSING", () => build("/tmp").prepare(), /no model/);
    await assertFails("RLRF_FILE_MISSING", () => build("/nowhere/model.gguf").prepare());
  });
});
