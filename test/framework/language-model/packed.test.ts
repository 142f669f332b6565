import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { TokenizedExample } from "../../../framework/contracts/llm.js";
import { pack } from "../../../framework/language-model/packed.js";
import { allProjections, testModel } from "../../support/decoder.js";
import { assertNoLeak, useEngine } from "../../support/engine.js";
import { checkGradients, close } from "../../support/tensors.js";

const example = (prompt: readonly number[], ...completions: readonly (readonly number[])[]): TokenizedExample => ({
  prompt: Int32Array.from(prompt),
  completions: completions.map((tokens) => Int32Array.from(tokens)),
});

const examples = [example([5, 9, 40], [7, 8, 9], [100], [7, 8, 11, 12, 2]), example([30], [31, 2], [60, 61, 62, 63, 64, 65], [31])];

describe("packed log-probs", () => {
  useEngine();

  it("lays a row out as prompt, completions, padding", () => {
    const batch = pack([example([5, 6], [7, 8], [9]), example([4], [3], [2])], true);
    assert.deepEqual([batch.rows, batch.length, batch.sums], [2, 5, 3]);
    assert.deepEqual([...batch.tokens], [5, 6, 7, 8, 9, 4, 3, 2, 0, 0]);
    assert.deepEqual([...batch.positions], [0, 1, 2, 3, 2, 0, 1, 1, 0, 0]); // a completion's positions go on from the prompt's
    const counted = [...batch.targets].map((target, i) => [batch.sources[i], target, batch.segments[i]]);
    // source -> target in sum row * 3 + (completion | prompt = 2)
    assert.deepEqual(counted, [[0, 6, 2], [1, 7, 0], [2, 8, 0], [1, 9, 1], [5, 3, 3], [5, 2, 4]]); // biome-ignore format: one table
    const sees = (row: number, at: number) =>
      [...batch.mask.subarray((row * 5 + at) * 5, (row * 5 + at + 1) * 5)].flatMap((x, to) => (x === 0 ? [to] : []));
    assert.deepEqual([0, 1, 2, 3, 4].map((at) => sees(0, at)), [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3], [0, 1, 4]]); // biome-ignore format: one table
    assert.deepEqual(sees(1, 4), [4]);
  });

  for (const changes of [{}, { kvHeads: 4, tiedHead: false }, { kvHeads: 1, qkvBias: true, qkNorm: true }]) {
    it(`equals separate passes, whatever is packed beside: ${JSON.stringify(changes)}`, () =>
      assertNoLeak(() => {
        const { model, dispose } = testModel(changes);
        tf.tidy(() => {
          const together = model.logProbs(examples).arraySync();
          examples.forEach(({ prompt, completions }, row) => {
            completions.forEach((completion, column) => {
              const [alone] = model.logProbs([{ prompt, completions: [completion] }]).dataSync();
              close([together[row]?.[column] as number], [alone as number], 2e-5);
            });
          });
        });
        dispose();
      }));
  }

  it("is a distribution: all next tokens together have probability 1", () => {
    const { model, dispose } = testModel();
    const all = Array.from({ length: model.config.vocabulary }, (_, token) => [token]);
    const total = tf.tidy(() => tf.sum(tf.exp(model.logProbs([example([5, 6, 7], ...all)]))).dataSync()[0]);
    close([total as number], [1], 1e-4);
    dispose();
  });

  it("an empty completion has log-prob 0", () => {
    const { model, dispose } = testModel();
    tf.tidy(() => assert.equal(model.logProbs([example([5], [], [6])]).dataSync()[0], 0));
    dispose();
  });

  for (const changes of [{}, { kvHeads: 1, qkvBias: true, qkNorm: true, tiedHead: false }]) {
    it(`has the gradient of finite differences, for every weight: ${JSON.stringify(changes)}`, () => {
      const { model, parameters, dispose } = testModel(changes);
      tf.tidy(() => model.logProbs(examples)); // the tables of positions stay
      const weighting = () => tf.tensor2d([1, -0.5, 0.3, 0.7, -0.2, 1], [2, 3]);
      checkGradients([...parameters.all.values()], () => tf.sum(tf.mul(model.logProbs(examples), weighting())), { probes: 5, step: 5e-3 });
      dispose();
    });
  }

  it("has the gradient of finite differences for the adapter, and none is spent on frozen weights", () => {
    const { model, dispose } = testModel();
    model.attach({ rank: 2, alpha: 4, dropout: 0, targets: allProjections }, 3);
    for (const variable of model.trainable()) tf.tidy(() => variable.assign(tf.randomNormal(variable.shape, 0, 0.3, "float32", 5)));
    tf.tidy(() => model.logProbs(examples));
    checkGradients(model.trainable(), () => tf.sum(model.logProbs(examples)), { probes: 4, step: 5e-3 });
    dispose();
  });

  for (const changes of [{}, { kvHeads: 4 }, { kvHeads: 1, qkvBias: true, qkNorm: true, layers: 3 }]) {
    it(`has the same gradient as the plain composition, and the same bit for bit when it is computed again: ${JSON.stringify(changes)}`, () =>
      assertNoLeak(() => {
        const gradients = (checkpointing: "on" | "off", targets: readonly string[], dropoutSeed?: number) => {
          const { model, dispose } = testModel(changes, 1, undefined, { checkpointing, engine: null });
          model.attach({ rank: 2, alpha: 4, dropout: 0.3, targets }, 3);
          for (const variable of model.trainable()) tf.tidy(() => variable.assign(tf.randomNormal(variable.shape, 0, 0.3, "float32", 5)));
          const values = tf.tidy(() => {
            const { value, grads } = tf.variableGrads(
              () => tf.sum(model.logProbs(examples, dropoutSeed)) as tf.Scalar,
              [...model.trainable()],
            );
            return [value.dataSync(), ...model.trainable().map(({ name }) => (grads[name] as tf.Tensor).dataSync())];
          });
          dispose();
          return values;
        };
        for (const targets of [allProjections, ["v_proj", "gate_proj"], ["o_proj"]]) {
          const kept = gradients("off", targets, 7);
          assert.deepEqual(gradients("on", targets, 7), kept);
          assert.notDeepEqual(gradients("on", targets, 8), kept, "dropout is drawn by the seed");
        }
      }));
  }

  it("says what a pass with gradients will take before it starts, and keeps less when it computes again", () => {
    const engine = { name: "wasm", version: "", devices: [], threads: 1, memory: 250_000, reason: "" } as const;
    const { model, dispose } = testModel({}, 1, undefined, { checkpointing: "on", engine });
    const other = testModel({}, 1, undefined, { checkpointing: "off", engine });
    for (const each of [model, other.model]) each.attach({ rank: 2, alpha: 4, dropout: 0, targets: allProjections }, 3);
    const long = example(
      Array.from({ length: 30 }, () => 5),
      [7, 8, 9],
      [7, 8],
    );
    model.requireMemory([long], 1);
    assert.throws(() => other.model.requireMemory([long], 1), /RLRF_ENGINE_MEMORY: tuning on 1 example of up to 35 tokens/);
    assert.throws(() => model.requireMemory([long, long, long, long, long, long, long, long], 8), /tuning on 8 examples/);
    dispose();
    other.dispose();
  });
});
