import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { type Checkpoint, checkpointShapes } from "../../../../framework/language-model/checkpoint/checkpoint.js";
import { readGgufLanguage } from "../../../../framework/language-model/checkpoint/gguf-checkpoint.js";
import { openCheckpoint } from "../../../../framework/language-model/checkpoint/open.js";
import type { DecoderConfig } from "../../../../framework/language-model/config.js";
import { readTensors, writeTensors } from "../../../../framework/store/tensors.js";
import {
  gguf,
  ggufBytes,
  ggufMetadata,
  ggufTensors,
  smallConfig,
  smallWeights,
  writeFolder,
  writeGguf,
} from "../../../support/checkpoint.js";
import { assertFails } from "../../../support/faults.js";
import { useFolder } from "../../../support/folder.js";
import { close } from "../../../support/tensors.js";

const forms: Readonly<Record<string, Partial<DecoderConfig>>> = {
  llama: {},
  qwen2: { qkvBias: true, kvHeads: 4 },
  qwen3: { qkNorm: true, tiedHead: false, headDim: 8 },
};

describe("published checkpoints", () => {
  const path = useFolder();

  async function checked(where: string, expected: DecoderConfig, body: (checkpoint: Checkpoint) => Promise<void> = async () => {}) {
    const checkpoint = await openCheckpoint(where);
    try {
      assert.deepEqual({ ...checkpoint.config, normEpsilon: 0 }, { ...expected, normEpsilon: 0 });
      assert.ok(Math.abs(checkpoint.config.normEpsilon - expected.normEpsilon) < 1e-10); // float32 in GGUF
      for (const [name, { shape, values }] of smallWeights(expected)) {
        const tensor = await checkpoint.read(name);
        assert.deepEqual(tensor.shape, shape);
        assert.deepEqual(tensor.values, values, name);
      }
      await body(checkpoint);
    } finally {
      await checkpoint.close();
    }
  }

  for (const [architecture, changes] of Object.entries(forms)) {
    const config = smallConfig(changes);
    it(`reads ${architecture} from GGUF`, () =>
      checked(writeGguf(path("model.gguf"), config, architecture), config, async ({ chat, files }) => {
        assert.deepEqual([chat.endTokens, chat.variables, files], [[2], { eos_token: "<|im_end|>" }, [path("model.gguf")]]);
      }));
    it(`reads ${architecture} from a folder`, async () => {
      await writeFolder(path("model"), config);
      await checked(path("model"), config, async ({ chat }) => {
        assert.deepEqual([chat.endTokens, chat.variables], [[2], { eos_token: "<|im_end|>", bos_token: "<|endoftext|>" }]);
      });
    });
  }

  it("finds the only .gguf file of a folder", async () => {
    writeGguf(path("model.gguf"));
    await checked(path(), smallConfig());
    writeGguf(path("other.gguf"));
    await assertFails("RLRF_CHECKPOINT_MISSING", () => openCheckpoint(path()), /2 .gguf files/);
    await assertFails("RLRF_FILE_MISSING", () => openCheckpoint(path("none")));
  });

  it("reads shards, and half precision", async () => {
    await writeFolder(path());
    const all = await readTensors(path("model.safetensors"));
    const names = Object.keys(all);
    const shards = { "a-1.safetensors": names.slice(0, 5), "a-2.safetensors": names.slice(5) };
    for (const [file, own] of Object.entries(shards))
      await writeTensors(path(file), Object.fromEntries(own.map((name) => [name, all[name] as never])));
    const weight_map = Object.fromEntries(Object.entries(shards).flatMap(([file, own]) => own.map((name) => [name, file])));
    writeFileSync(path("model.safetensors.index.json"), JSON.stringify({ weight_map }));
    await checked(path(), smallConfig());
    const leading = { weight_map: { ...weight_map, x: "../../etc/passwd" } };
    writeFileSync(path("model.safetensors.index.json"), JSON.stringify(leading));
    await assertFails("RLRF_CHECKPOINT_BROKEN", () => openCheckpoint(path()), /a shard is called/);
  });

  it("reads F16 and BF16", async () => {
    const config = smallConfig();
    await writeFolder(path(), config);
    // 1.5 as a half and as the upper half of a float32, little-endian.
    for (const [dtype, bits] of [
      ["F16", 0x3e00],
      ["BF16", 0x3fc0],
    ] as const) {
      // biome-ignore format: one line
      const header: Record<string, unknown> = {};
      let end = 0;
      for (const [name, shape] of checkpointShapes(config)) {
        const bytes = 2 * shape.reduce((a, b) => a * b, 1);
        header[name] = { dtype, shape, data_offsets: [end, end + bytes] };
        end += bytes;
      }
      const text = Buffer.from(JSON.stringify(header));
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(text.length));
      writeFileSync(path("model.safetensors"), Buffer.concat([length, text, Buffer.from(new Uint16Array(end / 2).fill(bits).buffer)]));
      const checkpoint = await openCheckpoint(path());
      close((await checkpoint.read("model.norm.weight")).values, new Float32Array(config.hidden).fill(1.5));
      await checkpoint.close();
    }
  });

  it("names what it does not compute", async () => {
    const config = smallConfig();
    const file = async (changes: Readonly<Record<string, Buffer>>, message: RegExp, more: Parameters<typeof ggufBytes>[1] = []) => {
      writeFileSync(
        path("x.gguf"),
        ggufBytes({ ...ggufMetadata(config, "llama"), ...changes }, [...ggufTensors(config, "llama"), ...more]),
      );
      await assertFails("RLRF_CHECKPOINT_UNSUPPORTED", () => openCheckpoint(path("x.gguf")), message);
    };
    await file({ "general.architecture": gguf.text("gemma3") }, /"gemma3"[\s\S]*llama, qwen2, qwen3[\s\S]*`llama-cpp`/);
    await file({ "tokenizer.ggml.model": gguf.text("llama") }, /"llama"(?![\s\S]*`llama-cpp`)/);
    await file({ "tokenizer.ggml.pre": gguf.text("tekken") }, /"tekken"(?![\s\S]*`llama-cpp`)/);
    await file({ "split.count": gguf.u32(2) }, /split into 2 files[\s\S]*llama-gguf-split --merge/);
    await file({ "llama.rope.dimension_count": gguf.u32(2) }, /RoPE turns 2/);
    await file({ "llama.rope.scaling.type": gguf.text("yarn") }, /"yarn"/);
    await file({ "llama.expert_count": gguf.u32(8) }, /mixture of experts/);
    const extra = { name: "blk.0.attn_output.bias", sides: [16], type: 0, data: new Uint8Array(64) };
    await file({}, /no place for 1 of its tensors: model.layers.0.self_attn.o_proj.bias/, [extra]);
    await file({}, /is Q2_K[\s\S]*Q4_K/, [{ ...extra, type: 10 }]);
    const biased = () => openCheckpoint(writeGguf(path("x.gguf"), { ...config, qkvBias: true }, "llama"));
    await assertFails("RLRF_CHECKPOINT_UNSUPPORTED", biased, /no place for 6 of its tensors: model.layers.0.self_attn.q_proj.bias/);
    const bare = () => openCheckpoint(writeGguf(path("x.gguf"), config, "qwen2"));
    await assertFails("RLRF_CHECKPOINT_BROKEN", bare, /no tensor model.layers.0.self_attn.q_proj.bias/);
    await writeFolder(path("folder"), config);
    const json = JSON.parse(readFileSync(path("folder", "config.json"), "utf8")) as object;
    for (const [change, message] of [
      [{ model_type: "mamba" }, /"mamba"/],
      [{ hidden_act: "gelu" }, /hidden_act is "gelu"/],
      [{ rope_scaling: { type: "yarn", factor: 4 } }, /"yarn"/],
      [{ attention_bias: true }, /attention_bias/],
    ] as const) {
      writeFileSync(path("folder", "config.json"), JSON.stringify({ ...json, ...change }));
      await assertFails("RLRF_CHECKPOINT_UNSUPPORTED", () => openCheckpoint(path("folder")), message);
    }
  });

  it("reads the language of a model whatever computes it: of any architecture, in any format", async () => {
    const config = smallConfig();
    const language = async (architecture: string, types: number, changes: Readonly<Record<string, Buffer>> = {}) => {
      const tensors = ggufTensors(config, architecture).map((tensor) => ({ ...tensor, type: types }));
      writeFileSync(path("x.gguf"), ggufBytes({ ...ggufMetadata(config, architecture), ...changes }, tensors));
      return readGgufLanguage(path("x.gguf"));
    };
    const { tokenizer, chat, files } = await language("gemma3", 20); // IQ4_NL
    const { config: _, read: _1, close, ...whole } = await openCheckpoint(writeGguf(path("whole.gguf"), config));
    await close();
    assert.deepEqual({ path: path("whole.gguf"), tokenizer, chat, files: [path("whole.gguf")] }, whole);
    assert.deepEqual(files, [path("x.gguf")]);
    const split = () => language("gemma3", 20, { "split.count": gguf.u32(2) });
    await assertFails("RLRF_CHECKPOINT_UNSUPPORTED", split, /split into 2 files/);
    await assertFails(
      "RLRF_CHECKPOINT_UNSUPPORTED",
      () => language("gemma3", 20, { "tokenizer.ggml.model": gguf.text("llama") }),
      /"llama"/,
    );
  });

  it("keeps Llama 3's RoPE, as divisors in GGUF and as factors in config.json", async () => {
    const config = smallConfig({ rope: { theta: 500, scaling: null } });
    const scaling = { type: "llama3", factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 8192 } as const;
    const file = (values: readonly number[]) => {
      const divisors = {
        name: "rope_freqs.weight",
        sides: [values.length],
        type: 0,
        data: new Uint8Array(Float32Array.from(values).buffer),
      };
      writeFileSync(path("x.gguf"), ggufBytes(ggufMetadata(config, "llama"), [...ggufTensors(config, "llama"), divisors]));
      return path("x.gguf");
    };
    // Frequencies 1 and 500 ^ -1/2 turn 1304 and 58 times within 8192 tokens: more than 4 times, so both are kept.
    await assertFails("RLRF_CHECKPOINT_UNSUPPORTED", () => openCheckpoint(file([1, 8])), /another way/);
    const slow = { ...config, rope: { theta: 1e9, scaling } };
    Object.assign(config.rope, { theta: 1e9 });
    // 1e9 ^ -1/2 turns 0.04 times: divided by the whole factor.
    await checked(file([1, 8]), slow);
    await writeFolder(path("folder"), config);
    const json = JSON.parse(readFileSync(path("folder", "config.json"), "utf8")) as object;
    const rope_parameters = { rope_type: "llama3", rope_theta: 500, factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 }; // biome-ignore format: one line
    writeFileSync(path("folder", "config.json"), JSON.stringify({ ...json, rope_parameters }));
    await checked(path("folder"), { ...config, rope: { theta: 500, scaling } });
  });
});
