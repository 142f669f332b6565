import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { RlrfError } from "../../../framework/errors.js";
import { LoraAdapter } from "../../../framework/language-model/lora.js";
import { createWeights } from "../../../framework/language-model/weights.js";
import { createRng } from "../../../framework/rng.js";
import { Parameters } from "../../../framework/tensor/parameters.js";
import { allProjections, testConfig, testModel } from "../../support/decoder.js";
import { assertNoLeak, useEngine } from "../../support/engine.js";
import { close } from "../../support/tensors.js";

const lora = { rank: 3, alpha: 6, dropout: 0, targets: ["q_proj", "v_proj", "down_proj"] };
const examples = [{ prompt: Int32Array.of(5, 6, 7), completions: [Int32Array.of(8, 9), Int32Array.of(10, 2)] }];

function shake(variables: readonly tf.Variable[], seed: number): void {
  for (const [i, variable] of variables.entries())
    tf.tidy(() => variable.assign(tf.randomNormal(variable.shape, 0, 0.2, "float32", seed + i)));
}

describe("LoRA", () => {
  useEngine();

  it("changes nothing at first, and trains only what it is put on", () =>
    assertNoLeak(() => {
      const { model, dispose } = testModel();
      const before = tf.tidy(() => model.logProbs(examples).dataSync());
      assert.equal(model.adapterHash(), "");
      model.attach(lora, 1);
      assert.equal(model.adapterHash(), "", "an adapter with B = 0 is the same policy");
      assert.deepEqual(
        tf.tidy(() => model.logProbs(examples).dataSync()),
        before,
      );
      assert.deepEqual(
        model.trainable().map(({ shape }) => shape),
        [0, 1].flatMap(() => [[16, 3], [3, 16], [16, 3], [3, 8], [24, 3], [3, 16]]), // biome-ignore format: one table
      );
      dispose();
    }));

  it("adds (alpha / rank) A B to its own columns of a fused projection and to no other", () =>
    assertNoLeak(() => {
      const config = testConfig();
      const parameters = new Parameters(createRng(1));
      const weights = createWeights(config, parameters);
      const adapter = new LoraAdapter(config, { ...lora, targets: ["k_proj"] }, 1);
      shake(adapter.variables, 1);
      const { weights: changed, merged } = adapter.merge(weights);
      tf.tidy(() => {
        const [down, up] = adapter.variables as unknown as [tf.Tensor2D, tf.Tensor2D];
        const difference = tf.sub(
          (changed.layers[0] as { qkv: tf.Tensor2D }).qkv,
          (weights.layers[0] as { qkv: tf.Tensor2D }).qkv,
        ) as tf.Tensor2D;
        const [query, key, value] = tf.split(difference, [16, 8, 8], 1) as [tf.Tensor, tf.Tensor, tf.Tensor];
        assert.equal(tf.max(tf.abs(query)).dataSync()[0], 0);
        assert.equal(tf.max(tf.abs(value)).dataSync()[0], 0);
        close(key, tf.mul(tf.matMul(down, up), 2).dataSync(), 1e-5);
      });
      assert.equal(changed.layers[0]?.out, weights.layers[0]?.out, "untouched matrices are not copied");
      tf.dispose([...merged]);
      adapter.dispose();
      parameters.dispose();
    }));

  it("gives the same log-probs merged and unmerged", () => {
    const { model, dispose } = testModel();
    const adapter = new LoraAdapter(model.config, { ...lora, targets: allProjections }, 2);
    shake(adapter.variables, 7);
    tf.tidy(() => {
      const input = tf.randomNormal([4, 16], 0, 1, "float32", 3) as tf.Tensor2D;
      const delta = adapter.pass().delta(0, "qkv", input) as tf.Tensor2D;
      const base = (model.weights.layers[0] as { qkv: tf.Tensor2D }).qkv;
      const merged = (adapter.merge(model.weights).weights.layers[0] as { qkv: tf.Tensor2D }).qkv;
      close(tf.add(tf.matMul(input, base), delta), tf.matMul(input, merged).dataSync(), 1e-5);
    });
    adapter.dispose();
    dispose();
  });

  it("drops inputs in training only, by the seed", () => {
    const { model, dispose } = testModel();
    model.attach({ ...lora, dropout: 0.5 }, 1);
    shake(model.trainable(), 3);
    const under = (seed?: number) => tf.tidy(() => [...model.logProbs(examples, seed).dataSync()]);
    assert.deepEqual(under(), under());
    assert.deepEqual(under(4), under(4));
    assert.notDeepEqual(under(4), under(5));
    assert.notDeepEqual(under(4), under());
    dispose();
  });

  it("is saved and restored, and names itself by its values", () =>
    assertNoLeak(async () => {
      const { model, dispose } = testModel();
      model.attach(lora, 1);
      shake(model.trainable(), 5);
      const hash = model.adapterHash();
      const state = await model.adapter();
      shake(model.trainable(), 50);
      assert.notEqual(model.adapterHash(), hash);
      model.restore(state);
      assert.equal(model.adapterHash(), hash);
      model.restore({}); // the state of having none
      assert.deepEqual(model.trainable(), []);
      dispose();
    }));

  it("refuses projections that are not there", () => {
    const refused = (targets: readonly string[]) =>
      assert.throws(
        () => new LoraAdapter(testConfig(), { ...lora, targets }, 1),
        (error) => error instanceof RlrfError && error.code === "RLRF_LORA_TARGET",
      );
    refused(["q_proj", "c_attn"]);
    refused([]);
  });
});
