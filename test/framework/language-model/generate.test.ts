import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { GenerationParameters, GenerationRequest } from "../../../framework/contracts/llm.js";
import { RlrfError } from "../../../framework/errors.js";
import type { DecoderConfig } from "../../../framework/language-model/config.js";
import { decode, logits } from "../../../framework/language-model/decoder.js";
import type { Batching } from "../../../framework/language-model/generate.js";
import type { LanguageModel } from "../../../framework/language-model/model.js";
import { attendWithin } from "../../../framework/language-model/attention.js";
import { Rotary } from "../../../framework/language-model/rotary.js";
import { testModel } from "../../support/decoder.js";
import { assertNoLeak, useEngine } from "../../support/engine.js";
import { assertFails } from "../../support/faults.js";

const greedy: GenerationParameters = { temperature: 0, topK: 0, topP: 1, minP: 0, maxTokens: 20, stop: [] };
const sampled: GenerationParameters = { ...greedy, temperature: 1 };

const request = (content: string, samples: number, seed: number): GenerationRequest => ({
  user: content,
  messages: [{ role: "user", content }],
  samples,
  seed,
});

/** Greedy tokens by a whole forward pass a token: no memory of keys at all. */
function greedyByFullPasses(model: LanguageModel, prompt: Int32Array, most: number): number[] {
  const rotary = new Rotary(model.config);
  const tokens = [...prompt];
  for (let step = 0; step < most; step++) {
    const { length } = tokens;
    const next = tf.tidy(() => {
      const mask = Float32Array.from({ length: length * length }, (_, i) => (i % length > Math.floor(i / length) ? -1e9 : 0));
      const input = { tokens: tf.tensor1d(tokens, "int32"), rotation: rotary.at(Int32Array.from(tokens, (_, at) => at)) };
      const states = decode(
        model.config,
        model.weights,
        input,
        attendWithin(model.config, 1, length, tf.tensor4d(mask, [1, 1, length, length])),
      );
      return tf.argMax(logits(model.config, model.weights, tf.slice(states, [length - 1, 0], [1, -1])), 1).dataSync()[0] as number;
    });
    if (model.codec.endTokens.has(next)) break;
    tokens.push(next);
  }
  rotary.dispose();
  return tokens.slice(prompt.length);
}

describe("generation", () => {
  useEngine();

  for (const changes of [
    {},
    { kvHeads: 1, qkNorm: true, qkvBias: true },
    { kvHeads: 4, tiedHead: false },
  ] satisfies Partial<DecoderConfig>[]) {
    it(`with memory equals generation by whole passes: ${JSON.stringify(changes)}`, () =>
      assertNoLeak(async () => {
        const { model, tokenizer, dispose } = testModel(changes, 2, { rows: 3, keys: 1e9, block: 4, prefill: 64 });
        const prompts = ["a", "What does a viewer like?", "drama and horror", "zz top", "x y z x y z"];
        const texts = await model.generate(
          prompts.map((content) => request(content, 1, 1)),
          greedy,
        );
        prompts.forEach((content, i) => {
          const tokens = greedyByFullPasses(model, model.codec.prompt([{ role: "user", content }]), greedy.maxTokens);
          assert.equal(texts[i]?.[0]?.text, tokenizer.decode(tokens));
          assert.equal(texts[i]?.[0]?.tokens, tokens.length);
        });
        dispose();
      }));
  }

  it("a sample depends on its request's seed and its number alone, not on the batch it ran in", async () => {
    const requests = Array.from({ length: 12 }, (_, i) => request(`viewer ${"of drama ".repeat(i % 5)}`, 1 + (i % 4), i));
    const generated = async (batching: Batching, some: readonly GenerationRequest[]) => {
      const { model, dispose } = testModel({}, 1, batching);
      const texts = await model.generate(some, sampled);
      dispose();
      return texts;
    };
    const whole = await generated({ rows: 64, keys: 1e9, block: 16, prefill: 4096 }, requests);
    assert.ok(new Set(whole.flat().map(({ text }) => text)).size > 20, "samples differ");
    for (const batching of [{ rows: 1, keys: 1e9, block: 1, prefill: 1 }, { rows: 64, keys: 1, block: 3, prefill: 50 }, { rows: 5, keys: 1e9, block: 3, prefill: 50 }, { rows: 64, keys: 1e9, block: 64, prefill: 4096 }]) // biome-ignore format: one table
      assert.deepEqual(await generated(batching, requests), whole);
    assert.deepEqual(await generated({ rows: 8, keys: 1e9, block: 4, prefill: 100 }, [requests[7] as GenerationRequest]), [whole[7]]);
    const more = await generated({ rows: 8, keys: 1e9, block: 4, prefill: 100 }, [{ ...(requests[3] as GenerationRequest), samples: 40 }]);
    assert.deepEqual(more[0]?.slice(0, whole[3]?.length), whole[3], "further samples do not change the first ones");
  });

  it("computes a prompt once, however many samples it has", async () => {
    const { model, dispose } = testModel({}, 1, { rows: 64, keys: 1e9, block: 16, prefill: 4096 });
    const tokens = model.codec.prompt(request("drama and horror", 1, 1).messages).length;
    const { kernels } = await tf.profile(() => void model.generate([request("drama and horror", 40, 1)], { ...sampled, maxTokens: 1 }));
    const { vocabulary, hidden } = model.config;
    const looksUp = ({ inputShapes: [table] }: (typeof kernels)[number]) => table?.[0] === vocabulary && table[1] === hidden;
    const embedded = kernels
      .filter((kernel) => /^Gather/.test(kernel.name) && looksUp(kernel))
      .map(({ outputShapes: [rows] }) => rows?.[0]);
    assert.deepEqual(embedded, [tokens]);
    dispose();
  });

  it("ends at the end token, at a stop string, or at the limit, and says which", async () => {
    const { model, dispose } = testModel({}, 1, { rows: 32, keys: 1e9, block: 8, prefill: 4096 });
    const long = (await model.generate([request("drama", 30, 5)], { ...sampled, maxTokens: 40 })).flat();
    assert.ok(long.every(({ finish, tokens }) => (finish === "length" ? tokens === 40 : tokens < 40)));
    // Two plain characters: what a random model spells is seldom UTF-8.
    const stop = long.map(({ text }) => /(?<=.{3})[!-~]{2}/su.exec(text)?.[0]).find((found) => found !== undefined) ?? "";
    assert.notEqual(stop, "");
    const stopped = (await model.generate([request("drama", 30, 5)], { ...sampled, maxTokens: 40, stop: [stop] })).flat();
    long.forEach(({ text: whole }, i) => {
      const at = whole.indexOf(stop);
      if (at >= 0) assert.deepEqual([stopped[i]?.text, stopped[i]?.finish], [whole.slice(0, at), "stop"]);
    });
    dispose();
  });

  it("hears of each finished request once", async () => {
    const { model, dispose } = testModel({}, 1, { rows: 4, keys: 1e9, block: 2, prefill: 100 });
    const done: number[] = [];
    await model.generate(
      [0, 1, 2, 3].map((i) => request(`${i}`, i === 2 ? 40 : 2, i)),
      sampled,
      (index) => done.push(index),
    );
    assert.deepEqual(done.sort(), [0, 1, 2, 3]);
    assert.deepEqual(await model.generate([], sampled), []);
    dispose();
  });

  it("hears the adapter, merged for the time of the call", () =>
    assertNoLeak(async () => {
      const { model, dispose } = testModel({}, 2);
      const [before] = await model.generate([request("drama", 1, 1)], greedy);
      model.attach({ rank: 2, alpha: 2, dropout: 0, targets: ["q_proj", "o_proj", "down_proj"] }, 1);
      assert.deepEqual((await model.generate([request("drama", 1, 1)], greedy))[0], before);
      for (const variable of model.trainable()) tf.tidy(() => variable.assign(tf.randomNormal(variable.shape, 0, 1, "float32", 5)));
      assert.notDeepEqual((await model.generate([request("drama", 1, 1)], greedy))[0], before);
      dispose();
    }));

  it("takes as many prompts, and looks at as many examples before a tuning, as there are users", async () => {
    const { model, dispose } = testModel();
    const many = Array.from({ length: 200_000 }, () => request("a", 1, 1));
    const tooLong = { ...greedy, maxTokens: 1000 }; // found when the prompts have been counted
    await assertFails("RLRF_LLM_CONTEXT", () => model.generate(many, tooLong));
    const example = model.tokenize([{ role: "user", content: "a" }], [{ text: "b", ended: true }]);
    model.requireMemory(Array.from(many, () => example), 2); // biome-ignore format: one line
    dispose();
  });

  it("names a prompt that does not fit the context", async () => {
    const { model, dispose } = testModel({ context: 30 });
    await assert.rejects(model.generate([request("a very long prompt of this user", 1, 1)], greedy), (error) => {
      assert.ok(error instanceof RlrfError && error.code === "RLRF_LLM_CONTEXT");
      assert.match(error.message, /a very long prompt of this user[\s\S]*at most 30 tokens/);
      return true;
    });
    dispose();
  });
});
