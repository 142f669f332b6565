import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { type DecoderConfig, parameterCount, type RopeScaling } from "../../../framework/language-model/config.js";
import { decode, logits } from "../../../framework/language-model/decoder.js";
import { attendWithin } from "../../../framework/language-model/packed.js";
import { Rotary } from "../../../framework/language-model/rotary.js";
import { createWeights, weightsFromCheckpoint } from "../../../framework/language-model/weights.js";
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

function shapeOf(config: DecoderConfig, name: string): readonly number[] {
  const { hidden, heads, kvHeads, headDim, intermediate, vocabulary } = config;
  const rows: Record<string, number> = { q_proj: heads * headDim, k_proj: kvHeads * headDim, v_proj: kvHeads * headDim };
  const part = name.split(".").at(-2) ?? "";
  if (name.endsWith("bias")) return [rows[part] as number];
  if (part in rows) return [rows[part] as number, hidden];
  if (part === "o_proj") return [hidden, heads * headDim];
  if (part === "gate_proj" || part === "up_proj") return [intermediate, hidden];
  if (part === "down_proj") return [hidden, intermediate];
  if (part === "q_norm" || part === "k_norm") return [headDim];
  return part === "embed_tokens" || part === "lm_head" ? [vocabulary, hidden] : [hidden];
}

describe("decoder", () => {
  useEngine();

  for (const [name, expected] of Object.entries(golden.cases)) {
    it(`has transformers' logits: ${name}`, async () => {
      const { kvHeads, tiedHead, headDim, theta } = expected;
      const scaling = name.startsWith("llama 3") ? llama3 : null;
      const qkvBias = name.startsWith("qwen 2");
      const qkNorm = name.startsWith("qwen 3");
      const sizes = { vocabulary: 48, hidden: 32, layers: 2, heads: 4, intermediate: 40, context: 512 };
      const config = testConfig({ ...sizes, kvHeads, headDim, tiedHead, qkvBias, qkNorm, rope: { theta, scaling } });
      await assertNoLeak(() => {
        const rotary = new Rotary(config);
        tf.tidy(() => {
          const weights = weightsFromCheckpoint(config, (tensor) => weight(tensor, shapeOf(config, tensor)));
          const { length } = golden.tokens;
          const positions = Int32Array.from(golden.tokens, (_, at) => at);
          const mask = Float32Array.from({ length: length * length }, (_, i) => (i % length > Math.floor(i / length) ? -1e9 : 0));
          const input = { tokens: tf.tensor1d([...golden.tokens], "int32"), rotation: rotary.at(positions) };
          const states = decode(config, weights, input, attendWithin(config, 1, length, tf.tensor4d(mask, [1, 1, length, length])));
          close(logits(config, weights, states), expected.logits.flat(), 1e-4);
        });
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
