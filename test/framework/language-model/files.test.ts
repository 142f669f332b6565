/** Models and adapters as files: what we write, and what others read of it. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs/promises";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import type { LoraOptions } from "../../../framework/contracts/llm.js";
import { readAdapter } from "../../../framework/language-model/adapter-files.js";
import type { DecoderConfig } from "../../../framework/language-model/config.js";
import { decode, logits } from "../../../framework/language-model/decoder.js";
import { LoraAdapter } from "../../../framework/language-model/lora.js";
import type { LanguageModel } from "../../../framework/language-model/model.js";
import { loadPublishedModel } from "../../../framework/language-model/published.js";
import { attendWithin } from "../../../framework/language-model/attention.js";
import { Rotary } from "../../../framework/language-model/rotary.js";
import { weightsFromCheckpoint } from "../../../framework/language-model/weights.js";
import { createRng } from "../../../framework/rng.js";
import { packageRoot } from "../../../framework/setup/paths.js";
import { floatTensors, readTensors, type StoredTensor } from "../../../framework/store/tensors.js";
import { startEngine } from "../../../framework/tensor/engine.js";
import { writeGguf } from "../../support/checkpoint.js";
import { allProjections, shake, testModel } from "../../support/decoder.js";
import { assertNoLeak, useEngine } from "../../support/engine.js";
import { assertFails } from "../../support/faults.js";
import { useFolder } from "../../support/folder.js";
import { ggufPackages, pythonEnvironment, trlPython } from "../../support/python.js";
import { close } from "../../support/tensors.js";

const lora: LoraOptions = { rank: 3, alpha: 6, dropout: 0.25, targets: ["q_proj", "k_proj", "v_proj", "down_proj"] };
const messages = [{ role: "user", content: "likes drama" } as const];

const tokens = [3, 1, 4, 1, 5, 9, 2, 6, 5, 35, 8, 47, 0, 20];

/** Logits of every token; with the policy's adapter, whose options the policy keeps to itself. */
async function logitsOf(model: LanguageModel, options?: LoraOptions): Promise<number[]> {
  const { config, weights } = model;
  const rotary = new Rotary(config);
  const adapter = options && new LoraAdapter(config, options, 0);
  adapter?.restore(await model.adapter());
  const values = tf.tidy(() => {
    const { length } = tokens;
    const mask = Float32Array.from({ length: length * length }, (_, i) => (i % length > Math.floor(i / length) ? -1e9 : 0));
    const input = { tokens: tf.tensor1d(tokens, "int32"), rotation: rotary.at(Int32Array.from(tokens, (_, at) => at)) };
    const attend = attendWithin(config, 1, length, tf.tensor4d(mask, [1, 1, length, length]));
    return [...logits(config, weights, decode(config, weights, input, attend, { delta: adapter?.pass().delta })).dataSync()];
  });
  rotary.dispose();
  adapter?.dispose();
  return values;
}

describe("adapters as files", () => {
  useEngine();
  const folder = useFolder();

  it("come back the same, bit for bit, also onto a policy that has another", () =>
    assertNoLeak(async () => {
      const { model, dispose } = testModel();
      shake(model, lora);
      const [state, hash] = [await model.adapter(), model.adapterHash()];
      await model.exportAdapter(folder());
      const other = testModel();
      for (const onto of [model, other.model]) {
        onto.restore({});
        if (onto === other.model) onto.attach({ ...lora, rank: 2 }, 5);
        await onto.importAdapter(folder());
        assert.deepEqual(await onto.adapter(), state);
        assert.equal(onto.adapterHash(), hash);
      }
      assert.deepEqual((await readAdapter(folder(), model.config)).options, lora);
      dispose();
      other.dispose();
    }));

  it("are in PEFT's names and its [out, in]", async () => {
    const { model, dispose } = testModel();
    model.attach(lora, 1);
    await model.exportAdapter(folder());
    const tensors = await readTensors(join(folder(), "adapter_model.safetensors"));
    const prefix = "base_model.model.model.layers.1";
    assert.equal(Object.keys(tensors).length, 2 * 4 * 2);
    assert.deepEqual(tensors[`${prefix}.self_attn.k_proj.lora_A.weight`]?.shape, [3, 16]);
    assert.deepEqual(tensors[`${prefix}.self_attn.k_proj.lora_B.weight`]?.shape, [8, 3]);
    assert.deepEqual(tensors[`${prefix}.mlp.down_proj.lora_A.weight`]?.shape, [3, 24]);
    const state = await model.adapter();
    assert.equal(tensors[`${prefix}.mlp.down_proj.lora_A.weight`]?.values[24 + 5], state["layers.1/down_proj.lora_A"]?.values[5 * 3 + 1]);
    const config = JSON.parse(await fs.readFile(join(folder(), "adapter_config.json"), "utf8")) as Record<string, unknown>;
    const { peft_type, task_type, r, lora_alpha, lora_dropout, target_modules } = config;
    assert.deepEqual([peft_type, task_type, r, lora_alpha, lora_dropout], ["LORA", "CAUSAL_LM", 3, 6, 0.25]);
    assert.deepEqual(target_modules, lora.targets);
    dispose();
  });

  it("cannot be had of a policy without one", async () => {
    const { model, dispose } = testModel();
    await assertFails("RLRF_ADAPTER_NONE", () => model.exportAdapter(folder()));
    dispose();
  });

  for (const [architecture, changes] of [
    ["llama", {}],
    ["qwen2", { qkvBias: true }],
  ] as const)
    it(`are read by llama.cpp's own Python package as GGUF: ${architecture}`, async function () {
      this.timeout(180_000);
      const { model, dispose } = testModel(changes);
      shake(model, { ...lora, targets: allProjections });
      await model.exportAdapter(folder());
      const python = await pythonEnvironment("gguf", ggufPackages);
      const script = join(packageRoot, "test", "golden", "adapter_gguf.py");
      const { fields, tensors } = JSON.parse(
        execFileSync(python, [script, join(folder(), "adapter.gguf")], { encoding: "utf8", maxBuffer: 1 << 26 }),
      ) as { fields: Record<string, unknown>; tensors: Record<string, { type: string; shape: number[]; values: number[] }> };
      assert.deepEqual(fields, { "general.architecture": architecture, "general.type": "adapter", "adapter.type": "lora", "adapter.lora.alpha": 6 }); // biome-ignore format: one line
      assert.equal(Object.keys(tensors).length, 2 * 7 * 2);
      const published = floatTensors(await readTensors(join(folder(), "adapter_model.safetensors")));
      const names = { q_proj: "attn_q", k_proj: "attn_k", v_proj: "attn_v", o_proj: "attn_output", gate_proj: "ffn_gate", up_proj: "ffn_up", down_proj: "ffn_down" }; // biome-ignore format: one line
      for (const [name, { shape, values }] of Object.entries(published)) {
        const [, layer, projection, side] = /layers\.(\d+)\.\w+\.(\w+)\.lora_([AB])\.weight$/.exec(name) as RegExpExecArray;
        const theirs = tensors[`blk.${layer}.${names[projection as keyof typeof names]}.weight.lora_${side?.toLowerCase()}`];
        assert.equal(theirs?.type, "F32");
        assert.deepEqual(theirs.shape, shape);
        const heads = { q_proj: 4, k_proj: 2 }[projection as string] ?? 0;
        const expected =
          architecture === "llama" && side === "B" && heads > 0 ? permuted(values, shape as [number, number], heads) : [...values];
        assert.deepEqual(theirs.values, expected, name);
      }
      dispose();
    });

  /** llama.cpp's conversion: reshape(heads, 2, rows / heads / 2, columns).swapaxes(1, 2). */
  function permuted(values: Float32Array, [rows, columns]: readonly [number, number], heads: number): number[] {
    const half = rows / heads / 2;
    const result: number[] = [];
    for (let head = 0; head < heads; head++)
      for (let i = 0; i < half; i++)
        for (let part = 0; part < 2; part++) {
          const row = (head * 2 + part) * half + i;
          result.push(...values.subarray(row * columns, (row + 1) * columns));
        }
    return result;
  }
});

/** A small GGUF file in Hugging Face's layout, in FOLDER/published; and what we make of texts with it. */
async function exportedGguf(folder: string) {
  const silent = { start: () => ({ advance() {}, end() {} }) };
  const path = writeGguf(join(folder, "published.gguf"));
  const { model, dispose } = await loadPublishedModel(path, {
    engine: await startEngine(),
    progress: silent,
    checkpointing: "auto",
    template: {},
  });
  await fs.mkdir(join(folder, "published"));
  await model.exportModel(join(folder, "published"));
  dispose();
  const { codec } = model;
  return { completion: (text: string) => [...codec.completion(text, false)], chat: [...codec.prompt(messages)] };
}

describe("models as files", () => {
  useEngine();
  const folder = useFolder();

  for (const [name, changes] of [
    ["llama", {}],
    ["llama, untied, scaled rope", { tiedHead: false, rope: { theta: 500, scaling: { type: "llama3", factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 64 } } }], // biome-ignore format: one line
    ["qwen 2", { qkvBias: true }],
    ["qwen 3", { qkNorm: true, tiedHead: false }],
  ] as [string, Partial<DecoderConfig>][])
    it(`come back the same: ${name}`, () =>
      assertNoLeak(async () => {
        const { model, parameters, dispose } = testModel(changes);
        for (const variable of parameters.all.values()) // no row of a norm is like another
          tf.tidy(() => variable.assign(tf.add(variable, 0.01)));
        await model.exportModel(folder());
        const tensors = floatTensors(await readTensors(join(folder(), "model.safetensors")));
        const weights = await weightsFromCheckpoint(model.config, (tensor) => tensors[tensor] as StoredTensor<Float32Array>);
        const flat = (of: object): tf.Tensor[] =>
          Object.values(of).flatMap((value) => (value instanceof tf.Tensor ? [value] : Array.isArray(value) ? value.flatMap(flat) : []));
        const [theirs, ours] = [flat(weights), flat(model.weights)];
        assert.equal(theirs.length, ours.length);
        for (const [i, tensor] of theirs.entries()) assert.deepEqual(tensor.dataSync(), ours[i]?.dataSync());
        tf.dispose(theirs);
        dispose();
      }));

  it("are opened by transformers, with the same tokens and logits; adapters are opened by PEFT, and PEFT's by us", async function () {
    this.timeout(15 * 60_000); // the environment may have to be made
    const python = await trlPython();
    const { model, tokenizer, dispose } = testModel();
    const rng = createRng("texts");
    const alphabet = [..."aeinostrDCHG    .,:;!?'\"()[]0123456789\n\t\u00a0\u0085\ufeff\u2003éßçøñ東京物語🎬👩‍👩‍👧कि\u0000\u001b<|>"];
    const words = ["Genre: ", "Drama", "Comedy, Horror", "\r\n", " Avoids: ", "…", "don't"];
    const texts = Array.from({ length: 1000 }, () =>
      Array.from({ length: rng.below(30) }, () =>
        rng.below(4) === 0 ? words[rng.below(words.length)] : alphabet[rng.below(alphabet.length)],
      ).join(""),
    );
    for (const name of ["model", "ours"]) await fs.mkdir(join(folder(), name));
    await model.exportModel(join(folder(), "model"));
    const published = await exportedGguf(folder());
    const bare = await logitsOf(model);
    shake(model, lora);
    await model.exportAdapter(join(folder(), "ours"));
    await fs.writeFile(join(folder(), "input.json"), JSON.stringify({ tokens, texts, messages }));
    execFileSync(python, [join(packageRoot, "test", "golden", "adapter.py"), folder()], { stdio: ["ignore", "ignore", "pipe"] });
    const theirs = JSON.parse(await fs.readFile(join(folder(), "output.json"), "utf8")) as {
      architecture: string;
      generation: number[];
      ids: number[][];
      decoded: string[];
      chat: number[];
      published: number[][];
      publishedChat: number[];
      logits: number[][];
      ours: number[][];
      theirs: number[][];
      theirsBf16: number[][];
      initialised: Record<string, number[][]>;
    };
    assert.equal(theirs.architecture, "LlamaForCausalLM");
    assert.deepEqual([...theirs.generation].sort(), [...model.codec.endTokens].sort());
    for (const [i, text] of texts.entries()) assert.deepEqual(theirs.ids[i], [...tokenizer.encode(text)], JSON.stringify(text));
    assert.deepEqual(theirs.decoded, texts);
    assert.deepEqual(theirs.chat, [...model.codec.prompt(messages)]);
    for (const [i, text] of texts.entries()) assert.deepEqual(theirs.published[i], published.completion(text), JSON.stringify(text));
    assert.deepEqual(theirs.publishedChat, published.chat);
    close(bare, theirs.logits.flat(), 1e-4);
    close(await logitsOf(model, lora), theirs.ours.flat(), 1e-4);
    for (const [name, expected] of [
      ["theirs", theirs.theirs],
      ["theirs-bf16", theirs.theirsBf16],
    ] as const) {
      // biome-ignore format: a table
      await model.importAdapter(join(folder(), name));
      const { options } = await readAdapter(join(folder(), name), model.config);
      close(await logitsOf(model, options), expected.flat(), 1e-4);
    }
    const config = JSON.parse(await fs.readFile(join(folder(), "theirs", "adapter_config.json"), "utf8")) as object;
    for (const [way, values] of Object.entries(theirs.initialised)) {
      const said = JSON.stringify({ ...config, init_lora_weights: JSON.parse(way) as unknown });
      await fs.writeFile(join(folder(), "theirs", "adapter_config.json"), said);
      const difference = Math.max(...values.flat().map((value, i) => Math.abs(value - (theirs.theirs.flat()[i] as number))));
      if (difference < 1e-4) await model.importAdapter(join(folder(), "theirs"));
      else
        await assert.rejects(model.importAdapter(join(folder(), "theirs")), /init_lora_weights/, `PEFT's logits differ by ${difference}`);
    }
    dispose();
  });
});
