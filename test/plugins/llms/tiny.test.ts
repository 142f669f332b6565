import assert from "node:assert/strict";
import type { CorpusTexts, GenerationParameters } from "../../../framework/contracts/llm.js";
import { RlrfError } from "../../../framework/errors.js";
import { Tiny } from "../../../plugins/llms/tiny.js";
import { assertNoLeak, useEngine } from "../../support/engine.js";

const options = {
  hidden: 32,
  layers: 2,
  heads: 2,
  kvHeads: 1,
  intermediate: 64,
  vocabulary: 320,
  context: 128,
  dialogues: 64,
  epochs: 25,
  batchSize: 8,
  learningRate: 1e-2,
  promptLoss: 0,
  seed: 1,
};
const greedy: GenerationParameters = { temperature: 0, topK: 0, topP: 1, minP: 0, maxTokens: 30, stop: [] };
const genres = ["Drama", "Horror", "Comedy", "War"];
const messages = (genre: string, i: number) => [{ role: "user", content: `Viewer ${i} rated a film [${genre}]: 5. Genre: …` } as const];
const corpus: CorpusTexts = {
  dialogues: Array.from({ length: 64 }, (_, i) => {
    const genre = genres[i % 4] as string;
    return { messages: messages(genre, i), completion: `Genre: ${genre}` };
  }),
};
const requests = genres.map((genre, i) => ({ user: `${i}`, messages: messages(genre, 100 + i), samples: 1, seed: i }));

function tiny(changes: Partial<typeof options> = {}, onStep = () => {}): Tiny {
  return new Tiny({ ...options, ...changes }, { start: () => ({ advance: onStep, end: () => {} }) });
}
const code = (expected: string) => (error: unknown) => error instanceof RlrfError && error.code === expected;

describe("tiny", () => {
  useEngine();

  it("learns its dialogues, keeps its state, and answers the same from it", () =>
    assertNoLeak(async () => {
      let steps = 0;
      const backend = tiny({}, () => steps++);
      await backend.prepare(corpus);
      assert.equal(steps, 200);
      const texts = await backend.generate(requests, greedy);
      assert.deepEqual(texts.map(([text]) => text?.text), genres.map((genre) => `Genre: ${genre}`)); // biome-ignore format: one line
      assert.ok(texts.every(([text]) => text?.finish === "stop"));

      const restored = tiny();
      restored.restoreState(JSON.parse(JSON.stringify(await backend.state(), typedArrays), plain));
      assert.equal(restored.identity(), backend.identity());
      assert.deepEqual(await restored.generate(requests, greedy), texts);
      backend.dispose();
      restored.dispose();
    })).timeout(60_000);

  it("learns from as many dialogues as it was told", async () => {
    let steps = 0;
    const backend = tiny({ dialogues: 16, epochs: 2 }, () => steps++);
    await backend.prepare(corpus);
    assert.equal(steps, 4); // 16 of the 64, 8 a step, twice
    backend.dispose();
  });

  it("is the same model again for the same corpus and seed, and says so by its identity", async () => {
    const trained = async (changes: Partial<typeof options>, dialogues = corpus.dialogues) => {
      const backend = tiny({ epochs: 1, ...changes });
      await backend.prepare({ dialogues });
      const [weights] = Object.values((await backend.state()).tensors);
      const result = { identity: backend.identity(), weights: [...(weights?.values ?? [])] };
      backend.dispose();
      return result;
    };
    const first = await trained({});
    assert.deepEqual(await trained({}), first);
    assert.notEqual((await trained({ seed: 2 })).identity, first.identity);
    assert.notEqual((await trained({}, corpus.dialogues.slice(1))).identity, first.identity);
  });

  it("learns its prompts too, when asked to", async () => {
    const nll = async (promptLoss: number) => {
      const backend = tiny({ epochs: 5, promptLoss });
      await backend.prepare(corpus);
      const { prompt } = backend.policy.tokenize(corpus.dialogues[0]?.messages ?? [], []);
      const example = { prompt: prompt.slice(0, 1), completions: [prompt.slice(1)] };
      const sums = backend.policy.logProbs([example]);
      const [value] = sums.dataSync();
      sums.dispose();
      backend.dispose();
      return -(value as number);
    };
    assert.ok((await nll(1)) < (await nll(0)) / 2);
  });

  it("changes its identity with its adapter's values, not with an empty adapter", async () => {
    const backend = tiny({ epochs: 1 });
    await backend.prepare(corpus);
    const before = backend.identity();
    backend.policy.attach({ rank: 2, alpha: 2, dropout: 0, targets: ["q_proj"] }, 1);
    assert.equal(backend.identity(), before);
    for (const variable of backend.policy.trainable()) {
      const ones = variable.add(1);
      variable.assign(ones);
      ones.dispose();
    }
    assert.notEqual(backend.identity(), before);
    backend.dispose();
  });

  it("refuses what cannot be", async () => {
    assert.throws(() => tiny().identity(), code("RLRF_LLM_UNPREPARED"));
    await assert.rejects(tiny().prepare({ dialogues: [] }), code("RLRF_LLM_CORPUS"));
    await assert.rejects(tiny({ context: 16 }).prepare(corpus), code("RLRF_LLM_CONTEXT"));
  });
});

/** A state as a file keeps it. */
function typedArrays(_key: string, value: unknown): unknown {
  return value instanceof Float32Array ? { float32: [...value] } : value;
}
function plain(_key: string, value: unknown): unknown {
  const floats = (value as { float32?: number[] } | null)?.float32;
  return floats === undefined ? value : Float32Array.from(floats);
}
