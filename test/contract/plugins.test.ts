/** Every registered plugin keeps the contract of its kind. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type PluginKind, pluginKinds } from "../../framework/contracts/kinds.js";
import type { PluginClass } from "../../framework/contracts/plugin.js";
import { loadPlugin } from "../../framework/kernel/load.js";
import { Registry } from "../../framework/kernel/registry.js";
import { createAssets } from "../../framework/setup/assets.js";
import { startEngine } from "../../framework/tensor/engine.js";
import {
  adaptorContract,
  datasetContract,
  encoderContract,
  executorContract,
  llmContract,
  lossContract,
  rerankerContract,
  rewardContract,
  type Subject,
  samplingContract,
  textEncoderContract,
  tunerContract,
} from "../../framework/testing/index.js";
import { ChatServer } from "../support/chat-server.js";
import { EmbeddingServer } from "../support/embedding-server.js";
import { amazonFolders, bookCrossingFolder, tableFolder } from "../support/dataset-files.js";
import { useRay } from "../support/ray.js";
import { FaultyProxy } from "../support/faulty-proxy.js";
import { writeFolder, writeGguf } from "../support/checkpoint.js";
import { installLlamaCpp } from "../support/llama-cpp.js";
import { folderUntilExit } from "../support/folder.js";

const suites: Readonly<Record<PluginKind, (subject: Subject<never>) => void>> = {
  dataset: datasetContract,
  encoder: encoderContract,
  adaptor: adaptorContract,
  reranker: rerankerContract,
  "text-encoder": textEncoderContract,
  llm: llmContract,
  reward: rewardContract,
  sampling: samplingContract,
  loss: lossContract,
  tuner: tunerContract,
  executor: executorContract,
};

/** Answers of users 1, 2 and 3, two each. */
function recordedTexts(): string {
  const path = join(folderUntilExit(), "texts.jsonl");
  const lines = ["1", "2", "3"].flatMap((user) => ["Drama", "Comedy"].map((genre) => JSON.stringify({ user, text: `Genre: ${genre}` })));
  writeFileSync(path, lines.join("\n"));
  return path;
}

const server = new ChatServer(await new FaultyProxy().up());
const embeddings = new EmbeddingServer(await new FaultyProxy().up());
function tableOptions(folder: string): object {
  return Object.fromEntries(["interactions", "items", "users"].map((name) => [name, join(folder, `${name}.csv`)]));
}

/** Options with which a plugin is tested, besides its defaults; those without sensible defaults only with these. */
const variants: Readonly<Record<string, readonly object[]>> = {
  "adaptor/hea": ["aspects", "product", "concat"].map((join) => ({ join })),
  "adaptor/mlp": ["aspects", "product", "concat"].map((join) => ({ join })),
  "adaptor/moe": [{}, { top: 2, join: "product" }],
  "adaptor/none": ["aspects", "product", "concat"].map((join) => ({ join })),
  "encoder/din": [{}, { normalise: true }],
  "encoder/caser": [{}, { bceNegatives: 3 }],
  "encoder/gru4rec": [{}, { layers: 2, tied: false, objective: "top1", negatives: 4, drawn: "in-batch" }],
  "encoder/hstu": [{}, { objective: "sampled-softmax", negatives: 4, drawn: "each" }],
  "encoder/sasrec": [
    ...["bce", "ce", "sampled-softmax", "gbce", "bpr", "top1"].map((objective) => ({
      objective,
      hidden: 8,
      negatives: 4,
      attentionDropout: 0.2,
    })),
    { scaled: false, projected: false, normalised: false },
  ],
  "encoder/bert4rec": [{}, { hidden: 8, attentionDropout: 0.2 }],
  "llm/openai": [{}, { choices: "requests", adapters: "vllm" }].map((more) => ({ baseUrl: server.baseUrl, model: "m", ...more })),
  "reranker/dlcm": [{}, { abstraction: 0, objective: "bce" }],
  "reranker/gsf": [{}, { group: 4 }],
  "reranker/mir": [{}, { positions: true }],
  "reranker/seq2slate": [{}, { decoding: "one-step" }],
  "reranker/setrank": [{}, { induced: 0, positions: true }],
  "reward/judge": [{ llm: { plugin: "replay", options: { path: recordedTexts() } } }],
  "reward/contrast": [{}, { reward: { plugin: "lift", options: { reward: { plugin: "map" } } }, users: 1 }],
  "reward/lift": [
    {},
    { reward: { plugin: "weighted", options: { rewards: [{ reward: { plugin: "contrast" } }] } } },
    { reward: { plugin: "log-likelihood" } },
  ],
  "reward/weighted": [
    { rewards: [{ reward: { plugin: "ndcg" } }, { reward: { plugin: "structure" }, weight: 0.2 }] },
    { rewards: [{ reward: { plugin: "lift" } }, { reward: { plugin: "map" } }], standardise: false },
  ],
  "llm/causal-lm": [{ model: await writeFolder(folderUntilExit()) }],
  "llm/llama-cpp": [{ model: writeGguf(join(folderUntilExit(), "small.gguf")), device: "cpu", sequences: 4, threads: 1 }],
  "llm/replay": [{ path: recordedTexts() }],
  "llm/tiny": [{ hidden: 16, layers: 1, heads: 2, kvHeads: 1, intermediate: 24, vocabulary: 300, context: 128, epochs: 1 }],
  "loss/aot": [{}, { unpaired: true, labelSmoothing: 0.1 }],
  "loss/alphapo": [{}, { alpha: 0 }, { alpha: -1 }],
  "loss/bco": [{}, { shift: false }],
  "loss/cpo": [{}, { normalise: false }, { each: "token" }],
  "loss/dpo": [{}, { beta: 0.1, labelSmoothing: 0.1 }],
  "loss/f-dpo": ["forward-kl", "js", "alpha"].map((divergence) => ({ divergence })),
  "loss/hinge": [{}, { reference: false }],
  "loss/ipo": [{}, { normalise: false }],
  "loss/kto": [{}, { each: "text" }],
  "loss/mix": [
    { losses: [{ loss: { plugin: "bco" } }, { loss: { plugin: "sft" }, weight: 0.5 }] },
    { losses: [{ loss: { plugin: "s-dpo" } }, { loss: { plugin: "kto" } }] },
  ],
  "loss/sft": [{}, { each: "token" }],
  "loss/rec-po": [{}, { margin: "log" }],
  "text-encoder/openai": [{ baseUrl: embeddings.baseUrl, model: "m" }],
  "dataset/amazon-reviews": (["2014", "2018", "2023"] as const).map((edition) => ({ edition, core: 0, path: amazonFolders[edition]() })),
  "dataset/bookcrossing": ["drop", "keep"].map((implicit) => ({ implicit, path: bookCrossingFolder() })),
  "dataset/synthetic": [{}, { users: 20, items: 80 }],
  "dataset/table": [tableOptions(tableFolder())],
};

await installLlamaCpp();
const services = { assets: createAssets(), engine: await startEngine() };
const registry = await Registry.read();
const entries = registry.list();
const plugins = await Promise.all(entries.map(loadPlugin));

describe("contracts", () => {
  after(() => Promise.all([server.proxy.down(), embeddings.proxy.down()]));

  it("cover every kind, and every plugin is tested", () => {
    assert.deepEqual([...new Set(entries.map(({ kind }) => kind))].sort(), Object.keys(pluginKinds).sort());
    for (const id of Object.keys(variants))
      assert.ok(
        entries.some(({ kind, name }) => `${kind}/${name}` === id),
        `${id} is not registered`,
      );
  });

  it("what `check` has to know of a plugin stands in its decorator", () => {
    for (const { kind, name, needs, rejected, options } of entries) {
      const takesOthers = Object.keys(options?.properties ?? {}).some((key) =>
        JSON.stringify(options?.properties?.[key]).includes("pluginKind"),
      );
      if (kind === "loss" && !takesOthers) assert.ok(needs, `loss/${name} says what it needs`);
      if (kind === "sampling") assert.notEqual(rejected, undefined, `sampling/${name} says how many texts it rejects`);
    }
  });

  for (const [i, { kind, name }] of entries.entries())
    describe(`${kind}/${name}`, () => {
      if (name === "ray") useRay();
      for (const options of variants[`${kind}/${name}`] ?? [{}])
        suites[kind]({ plugin: plugins[i] as PluginClass<never>, options: { ...options }, plugins, services });
    });
});
