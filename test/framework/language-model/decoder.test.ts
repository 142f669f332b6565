import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { checkpointShapes } from "../../../framework/language-model/checkpoint/checkpoint.js";
import { parameterCount, type RopeScaling } from "../../../framework/language-model/config.js";
import { decode, logits } from "../../../framework/language-model/decoder.js";
import { attendWithin } from "../../../framework/language-model/attention.js";
import { Rotary } from "../../../framework/language-model/rotary.js";
import { createWeights, disposeWeights, weightsFromCheckpoint } from "../../../framework/language-model/weights.js";
import { createRng } from "../../../framework/rng.js";
import { packageRoot } from "../../../framework/setup/paths.js";
import { Parameters } from "../../../framework/tensor/parameters.js";
import assert from "node:assert/strict";
import { testConfig } from "../../support/decoder.js";
import { assertNoLeak, useEngine } from "../../support/engine.js";
import { close } from "../../support/tensors.js";
import { hashedWeight as weight } from "../../support/weights.js";

interface Golden {
  readonly tokens: readonly number[];
  readonly cases: Readonly<
    Record<
      string,
      {
        readonly kvHeads: number;
        readonly tiedHead: boolean;
        readonly headDim: number;
        readonly theta: number;
        readonly logits: readonly number[][];
      }
    >
  >;
}

const golden = JSON.parse(readFileSync(join(packageRoot, "test/golden/decoder.json"), "utf8")) as Golden;

const llama3: RopeScaling = { type: "llama3", factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 64 };

describe("the decoder of tiny and causal-lm", () => {
  useEngine();

  for (const [name, expected] of Object.entries(golden.cases)) {
    it(`has transformers' logits: ${name}`, async () => {
      const { kvHeads, tiedHead, headDim, theta } = expected;
      const scaling = name.startsWith("llama 3") ? llama3 : null;
      const qkvBias = name.startsWith("qwen 2");
      const qkNorm = name.startsWith("qwen 3");
      const sizes = { vocabulary: 48, hidden: 32, layers: 2, heads: 4, intermediate: 40, context: 512 };
      const config = testConfig({ ...sizes, kvHeads, headDim, tiedHead, qkvBias, qkNorm, rope: { theta, scaling } });
      const shapes = checkpointShapes(config);
      await assertNoLeak(async () => {
        const rotary = new Rotary(config);
        const weights = await weightsFromCheckpoint(config, (tensor) => weight(tensor, shapes.get(tensor) ?? []));
        tf.tidy(() => {
          const { length } = golden.tokens;
          const positions = Int32Array.from(golden.tokens, (_, at) => at);
          const mask = Float32Array.from({ length: length * length }, (_, i) => (i % length > Math.floor(i / length) ? -1e9 : 0));
          const input = { tokens: tf.tensor1d([...golden.tokens], "int32"), rotation: rotary.at(positions) };
          const states = decode(config, weights, input, attendWithin(config, 1, length, tf.tensor4d(mask, [1, 1, length, length])));
          close(logits(config, weights, states), expected.logits.flat(), 1e-4);
        });
        disposeWeights(weights);
        rotary.dispose();
      });
    });
  }

  it("counts its parameters", () => {
    for (const tiedHead of [true, false]) {
      const config = testConfig({ tiedHead });
      const parameters = new Parameters(createRng(1));
      createWeights(config, parameters);
      const count = [...parameters.all.values()].reduce((sum, { size }) => sum + size, 0);
      assert.equal(parameterCount(config), count);
      parameters.dispose();
    }
  });
});
