/** On small random models, whose float32 weights are the same as causal-lm's: what differs is llama.cpp's arithmetic alone. */
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { AdapterFiles, ChatMessage, GenerationParameters, GenerationRequest, LlmBackend } from "../../framework/contracts/llm.js";
import type { PluginClass } from "../../framework/contracts/plugin.js";
import { openCheckpoint } from "../../framework/language-model/checkpoint/open.js";
import { writeModelGguf } from "../../framework/language-model/model-gguf.js";
import { withPlugin } from "../../framework/testing/index.js";
import { type EngineInfo, startEngine } from "../../framework/tensor/engine.js";
import { CausalLm } from "../../plugins/llms/causal-lm.js";
import { LlamaCpp } from "../../plugins/llms/llama-cpp.js";
import { ggufBytes, ggufMetadata, ggufTensors, smallConfig, writeFolder, writeGguf } from "../support/checkpoint.js";
import { assertFails } from "../support/faults.js";
import { useFolder } from "../support/folder.js";
import { installLlamaCpp } from "../support/llama-cpp.js";

const messages: ChatMessage[] = [{ role: "user", content: "What does a viewer of drama and comedy like? 🎬" }];
const greedy: GenerationParameters = { temperature: 0, topK: 0, topP: 1, minP: 0, maxTokens: 12, stop: [] };
const random: GenerationParameters = { ...greedy, temperature: 1 };
const request = (change: Partial<GenerationRequest> = {}): GenerationRequest => ({ user: "1", messages, samples: 1, seed: 1, ...change });
const completion = "Genre: Drama, Comedy";

/** Heads as wide as llama.cpp's fast attention takes. */
const config = smallConfig({ hidden: 64, heads: 2, kvHeads: 1, headDim: 32, intermediate: 96, context: 1024 });

const meanDifference = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, value, i) => sum + Math.abs(value - (b[i] as number)), 0) / a.length;

describe("llms/llama-cpp", function () {
  this.timeout(10 * 60_000); // the first time node-llama-cpp is installed
  const folder = useFolder();
  let engine: EngineInfo;
  let file: string;
  before(async () => {
    await installLlamaCpp();
    engine = await startEngine();
  });
  beforeEach(async () => {
    await mkdir(folder(), { recursive: true });
    file = writeGguf(folder("small.gguf"), config);
  });

  const using = <Result>(
    plugin: typeof LlamaCpp | typeof CausalLm,
    body: (llm: LlmBackend) => Promise<Result>,
    options: object = {},
  ): Promise<Result> => {
    const more = plugin === LlamaCpp ? { device: "cpu", sequences: 4, threads: 1 } : {};
    const subject = { plugin: plugin as PluginClass<LlmBackend>, options: { model: file, ...more, ...options }, services: { engine } };
    return withPlugin(subject, async (llm) => {
      await llm.prepare({ dialogues: [] });
      return body(llm);
    });
  };
  const probed = (llm: LlmBackend) => llm.probe?.(messages, completion) ?? Promise.reject(new Error("no probe"));

  it("reads chats as causal-lm does, architecture by architecture", async () => {
    for (const [architecture, changes] of [
      ["llama", {}],
      ["qwen2", { qkvBias: true }],
      ["qwen3", { qkNorm: true }],
    ] as const) {
      file = writeGguf(folder(`${architecture}.gguf`), { ...config, ...changes }, architecture);
      const [own, other] = [await using(LlamaCpp, probed), await using(CausalLm, probed)];
      assert.deepEqual(own.tokens, other.tokens);
      assert.equal(own.logProbs?.length, other.logProbs?.length);
      assert.ok(meanDifference(own.logProbs ?? [], other.logProbs ?? []) < 0.01, `${architecture}: ${own.logProbs} and ${other.logProbs}`);
    }
  });

  it("writes greedily what causal-lm writes, whatever the seed", async () => {
    const expected = await using(CausalLm, (llm) => llm.generate([request()], greedy));
    await using(LlamaCpp, async (llm) => {
      assert.deepEqual(await llm.generate([request()], greedy), expected);
      assert.deepEqual(await llm.generate([request({ seed: 9 })], greedy), expected);
      assert.deepEqual(await llm.generate([request({ seed: 9 })], { ...random, topK: 1 }), expected);
    });
  });

  it("draws texts as often as causal-lm does, with every filter", async () => {
    const filters = [{}, { topK: 4 }, { topP: 0.5 }, { minP: 0.2, temperature: 0.6 }, { topK: 8, topP: 0.8, minP: 0.1 }];
    const drawn = (plugin: typeof LlamaCpp | typeof CausalLm) =>
      using(plugin, async (llm) => {
        const shares: Map<string, number>[] = [];
        for (const filter of filters) {
          const own = new Map<string, number>();
          const [texts = []] = await llm.generate([request({ samples: 3000 })], { ...random, maxTokens: 1, ...filter });
          for (const { text, finish } of texts) own.set(`${finish} ${text}`, (own.get(`${finish} ${text}`) ?? 0) + 1 / texts.length);
          shares.push(own);
        }
        return shares;
      });
    const [own, other] = [await drawn(LlamaCpp), await drawn(CausalLm)];
    for (const [i, filter] of filters.entries()) {
      const texts = new Set([...(own[i]?.keys() ?? []), ...(other[i]?.keys() ?? [])]);
      const distance = [...texts].reduce((sum, text) => sum + Math.abs((own[i]?.get(text) ?? 0) - (other[i]?.get(text) ?? 0)), 0) / 2;
      const chance = Math.sqrt(texts.size / 3000); // of two samples of one distribution, at most about this
      assert.ok(distance < 1.2 * chance, `${JSON.stringify(filter)}: ${distance}, by chance ${chance}`);
    }
  });

  it("writes the same text for a seed, whatever is written beside it, in however few sequences", async () => {
    const others = [
      request({ user: "2", samples: 7, seed: 2 }),
      request({ user: "3", seed: 3, messages: [{ role: "user", content: "Why?" }] }),
    ];
    const alone = await using(LlamaCpp, (llm) => llm.generate([request({ samples: 5 })], random));
    for (const sequences of [1, 3, 32]) {
      const done: number[] = [];
      const together = await using(LlamaCpp, (llm) => llm.generate([...others, request({ samples: 5 })], random, (i) => done.push(i)), {
        sequences,
      });
      assert.deepEqual(together[2], alone[0], `with ${sequences} sequences`);
      assert.deepEqual(done.sort(), [0, 1, 2]);
    }
    assert.equal(new Set(alone[0]?.map(({ text }) => text)).size, 5);
    assert.notDeepEqual(await using(LlamaCpp, (llm) => llm.generate([request({ samples: 5, seed: 4 })], random)), alone);
  });

  it("stops at stop strings, at the end token and at the limit, and counts tokens", () =>
    using(LlamaCpp, async (llm) => {
      const [texts = []] = await llm.generate([request({ samples: 40 })], { ...random, temperature: 2, maxTokens: 200 });
      assert.ok(texts.some(({ finish, tokens }) => finish === "stop" && tokens < 200));
      const cut = await llm.generate([request({ samples: 40 })], { ...random, temperature: 2, maxTokens: 3 });
      for (const [i, { tokens, finish }] of (cut[0] ?? []).entries()) {
        assert.equal(tokens, Math.min(3, texts[i]?.tokens ?? 0));
        assert.equal(finish, (texts[i]?.tokens ?? 0) < 3 ? "stop" : "length");
      }
      const [long] = texts.filter(({ text }) => /[a-z]{2}/i.test(text));
      const stop = /[a-z]{2}/i.exec(long?.text ?? "")?.[0] as string;
      const stopped = await llm.generate([request({ samples: 40 })], { ...random, temperature: 2, maxTokens: 200, stop: [stop] });
      const [same] = (stopped[0] ?? []).filter((_, i) => texts[i] === long);
      assert.deepEqual([same?.text, same?.finish], [long?.text.slice(0, long.text.indexOf(stop)), "stop"]);
    }));

  it("writes with an adapter that causal-lm was tuned to, changes it, and goes back", async () => {
    const adapters: AdapterFiles[] = [];
    const expected: (readonly number[])[] = [];
    await using(CausalLm, async (llm) => {
      llm.policy?.attach({ rank: 2, alpha: 8, dropout: 0, targets: ["q_proj", "k_proj", "v_proj", "o_proj", "up_proj"] }, 1);
      const fresh = await llm.policy?.adapter();
      for (const step of [1, 2]) {
        for (const { values } of Object.values(fresh ?? {}))
          for (const i of values.keys()) values[i] = 0.2 * Math.sin(i * step + values.length);
        llm.policy?.restore(fresh ?? {});
        await mkdir(folder(`${step}`));
        await llm.policy?.exportAdapter(folder(`${step}`));
        adapters.push({ folder: folder(`${step}`), identity: llm.identity() });
        expected.push((await probed(llm)).logProbs ?? []);
      }
    });
    await using(LlamaCpp, async (llm) => {
      const bare = await probed(llm);
      const identity = llm.identity();
      const written = await llm.generate([request()], random);
      for (const i of [0, 1, 0]) {
        await llm.useAdapter?.(adapters[i] as AdapterFiles);
        const { logProbs } = await probed(llm);
        assert.ok(meanDifference(logProbs ?? [], expected[i] ?? []) < 0.01);
        assert.ok(meanDifference(logProbs ?? [], bare.logProbs ?? []) > 0.1);
        assert.equal(llm.identity(), `${identity}${adapters[i]?.identity}`);
      }
      await llm.useAdapter?.(null);
      assert.deepEqual(await probed(llm), bare);
      assert.deepEqual(await llm.generate([request()], random), written);
      await writeFile(folder("1", "adapter.gguf"), "GGUF, but not really");
      await assertFails(
        "RLRF_LLAMA_CPP",
        () => llm.useAdapter?.({ folder: folder("1"), identity: "damaged" }) ?? Promise.resolve(),
        /adapter\.gguf/,
      );
    });
  });

  it("writes with models that causal-lm does not compute, and takes no adapter of another architecture", async () => {
    // Blocks of IQ4_NL: a scale of 2^-7, and 32 values of four bits.
    const block = (i: number) => Buffer.from([0, 0x20, ...Array.from({ length: 16 }, (_, j) => (i * 37 + j * 11) & 255)]);
    const quantised = ggufTensors(config, "llama").map((tensor) =>
      tensor.name.endsWith("attn_v.weight")
        ? { ...tensor, type: 20, data: Buffer.concat(Array.from({ length: 64 }, (_, i) => block(i))) }
        : tensor,
    );
    await writeFile(folder("iq4_nl.gguf"), ggufBytes(ggufMetadata(config, "llama"), quantised));
    for (const model of [folder("iq4_nl.gguf"), writeGguf(folder("smollm3.gguf"), config, "smollm3")]) {
      await assertFails("RLRF_CHECKPOINT_UNSUPPORTED", () => using(CausalLm, probed, { model }), /`llama-cpp`/);
      const { tokens, logProbs } = await using(LlamaCpp, probed, { model });
      assert.deepEqual(tokens, (await using(CausalLm, probed)).tokens);
      assert.ok(logProbs?.every(Number.isFinite));
    }
    const adapter = { folder: folder("adapter"), identity: "of another" };
    await using(LlamaCpp, (llm) => assertFails("RLRF_LLAMA_CPP", () => llm.useAdapter?.(adapter), /adapter.gguf.*smollm3/), {
      model: folder("smollm3.gguf"),
    });
  });

  it("writes with the weights of another, where it has none of its own", async () => {
    const model = await writeFolder(folder("hf"), config);
    const checkpoint = await openCheckpoint(model);
    await writeModelGguf(join(model, "model.gguf"), checkpoint).finally(() => checkpoint.close());
    const expected = await using(CausalLm, async (llm) => [await probed(llm), await llm.generate([request()], greedy)] as const, { model });
    await using(
      LlamaCpp,
      async (llm) => {
        await assertFails("RLRF_LLM_UNPREPARED", () => llm.identity());
        await llm.useModel?.({ folder: model, identity: "small" });
        const { tokens, logProbs } = await probed(llm);
        assert.deepEqual(tokens, expected[0].tokens);
        assert.ok(meanDifference(logProbs ?? [], expected[0].logProbs ?? []) < 0.01);
        assert.deepEqual(await llm.generate([request()], greedy), expected[1]);
      },
      { model: null },
    );
  });

  it("ends when it is told to, between two steps", () =>
    using(LlamaCpp, async (llm) => {
      const stop = new AbortController();
      const generation = llm.generate(
        [request({ samples: 3 }), request()],
        { ...random, maxTokens: 200 },
        () => stop.abort(new Error("enough")),
        stop.signal,
      );
      await assert.rejects(generation, /enough/);
      const failing = llm.generate([request()], greedy, () => {
        throw new Error("the disk is full");
      });
      await assert.rejects(failing, /the disk is full/);
      assert.equal((await llm.generate([request()], greedy)).length, 1, "and can write again");
    }));

  it("says what it cannot do", async () => {
    const long = request({ messages: [{ role: "user", content: "long ".repeat(300) }] });
    await assertFails("RLRF_LLM_CONTEXT", () => using(LlamaCpp, (llm) => llm.generate([long], greedy)), /the prompt of user 1/);
    await assertFails(
      "RLRF_CHECKPOINT_UNSUPPORTED",
      async () => using(LlamaCpp, probed, { model: await writeFolder(folder("hf"), config) }),
      /GGUF/,
    );
    await assertFails("RLRF_LLM_UNPREPARED", () => withPlugin({ plugin: LlamaCpp }, (llm) => llm.identity()));
    await assertFails("RLRF_LLAMA_CPP", () => using(LlamaCpp, probed, { device: "metal" }), /does not start/);
  });
});
