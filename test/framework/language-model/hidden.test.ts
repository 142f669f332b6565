import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { decode, finalNorm } from "../../../framework/language-model/decoder.js";
import { attendWithin } from "../../../framework/language-model/attention.js";
import { Rotary } from "../../../framework/language-model/rotary.js";
import { allProjections, testModel } from "../../support/decoder.js";
import { assertNoLeak, useEngine } from "../../support/engine.js";
import { close } from "../../support/tensors.js";

describe("hidden states as vectors of texts, which llm-hidden gives", () => {
  useEngine();
  const texts = ["Genre: Drama", "Genre: Comedy, Drama\nAvoids: Horror", "", "é"];

  /** Every token's state after the last norm, one text at a time: decoder.test.ts holds `decode` to transformers. */
  function states({ model }: ReturnType<typeof testModel>, text: string): Float32Array[] {
    const { config, weights, codec } = model;
    const tokens = codec.completion(text, true);
    const { length } = tokens;
    const rotary = new Rotary(config);
    const values = tf.tidy(() => {
      const mask = Float32Array.from({ length: length * length }, (_, i) => (i % length > Math.floor(i / length) ? -1e9 : 0));
      const input = { tokens: tf.tensor1d(tokens, "int32"), rotation: rotary.at(Int32Array.from(tokens.keys())) };
      const all = decode(config, weights, input, attendWithin(config, 1, length, tf.tensor4d(mask, [1, 1, length, length])));
      return finalNorm(config, weights, all).dataSync<"float32">();
    });
    rotary.dispose();
    return Array.from({ length }, (_, at) => values.slice(at * config.hidden, (at + 1) * config.hidden));
  }
  const row = ({ width, vectors }: { width: number; vectors: Float32Array }, i: number) => vectors.subarray(i * width, (i + 1) * width);

  it("is the mean over a text's tokens, or its last token's state, whatever it is batched with", async () => {
    const test = testModel();
    for (const batching of [undefined, { rows: 4, keys: 1e9, block: 4, prefill: 1 }]) {
      const own = batching === undefined ? test : testModel({}, 1, batching);
      await own.model.hidden(texts, "mean"); // tables of positions are kept from the first time on
      await assertNoLeak(async () => {
        const mean = await own.model.hidden(texts, "mean");
        const last = await own.model.hidden(texts, "last");
        assert.equal(mean.width, 16);
        for (const [i, text] of texts.entries()) {
          const all = states(own, text);
          close(row(last, i), [...(all.at(-1) as Float32Array)], 1e-5);
          close(
            row(mean, i),
            Array.from({ length: 16 }, (_, j) => all.reduce((sum, state) => sum + (state[j] as number), 0) / all.length),
            1e-5,
          );
        }
        assert.equal((await own.model.hidden([], "mean")).vectors.length, 0);
      });
      if (own !== test) own.dispose();
    }
    test.dispose();
  });

  it("is of the frozen model, whatever adapter is attached", async () => {
    const { model, dispose } = testModel();
    const before = await model.hidden(texts, "mean");
    model.attach({ rank: 2, alpha: 4, dropout: 0, targets: [...allProjections] }, 1);
    for (const variable of model.trainable()) tf.tidy(() => variable.assign(tf.add(variable, 0.3)));
    assert.deepEqual(await model.hidden(texts, "mean"), before);
    dispose();
  });

  it("cuts the beginning of what is longer than the model reads", async () => {
    const { model, dispose } = testModel({ context: 8 });
    const { vectors } = await model.hidden(["a".repeat(500), "b"], "last");
    assert.ok(vectors.every(Number.isFinite));
    dispose();
  });
});
