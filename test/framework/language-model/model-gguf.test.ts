import assert from "node:assert/strict";
import { join } from "node:path";
import { checkpointShapes } from "../../../framework/language-model/checkpoint/checkpoint.js";
import { openCheckpoint } from "../../../framework/language-model/checkpoint/open.js";
import type { DecoderConfig } from "../../../framework/language-model/config.js";
import { writeModelGguf } from "../../../framework/language-model/model-gguf.js";
import { smallConfig, writeFolder } from "../../support/checkpoint.js";
import { useFolder } from "../../support/folder.js";

const forms: Readonly<Record<string, Partial<DecoderConfig>>> = {
  llama: {},
  "llama, of Llama 3's RoPE": {
    headDim: 16,
    rope: {
      theta: 500_000,
      scaling: { type: "llama3", factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 8192 },
    },
  },
  qwen2: { qkvBias: true, kvHeads: 4 },
  "qwen3, untied": { qkNorm: true, tiedHead: false, headDim: 8 },
};

describe("a model as GGUF", () => {
  const folder = useFolder();

  for (const [form, changes] of Object.entries(forms))
    it(`is read back as it was, to 16 bits a number: ${form}`, async () => {
      const config = smallConfig(changes);
      await writeFolder(folder("hf"), config);
      const source = { ...(await openCheckpoint(folder("hf"))), config }; // RoPE's scaling is not in the test's config.json
      const path = join(folder(), "model.gguf");
      await writeModelGguf(path, source);
      const written = await openCheckpoint(path);
      try {
        const { normEpsilon, ...sizes } = written.config;
        assert.deepEqual({ ...sizes, normEpsilon: config.normEpsilon }, config);
        assert.ok(Math.abs(normEpsilon - config.normEpsilon) < 1e-10);
        assert.deepEqual(written.tokenizer.model.vocab, source.tokenizer.model.vocab);
        for (const name of checkpointShapes(config).keys()) {
          const [own, other] = [await written.read(name), await source.read(name)];
          assert.deepEqual(own.shape, other.shape);
          for (const [i, value] of own.values.entries()) {
            const expected = other.values[i] as number;
            assert.ok(Math.abs(value - expected) <= 2 ** -11 * Math.abs(expected) + 2 ** -25, `${name}[${i}]: ${value}, was ${expected}`);
          }
        }
      } finally {
        await written.close();
        await source.close();
      }
    });
});
