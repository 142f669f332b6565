/** Against `transformers serve`, which nobody here wrote. It knows seeds (one for the whole process) and stop strings; it ignores n and logprobs. */
import assert from "node:assert/strict";
import type { GenerationParameters, GenerationRequest, LlmBackend } from "../../framework/contracts/llm.js";
import type { PluginClass } from "../../framework/contracts/plugin.js";
import { withPlugin } from "../../framework/testing/index.js";
import { OpenAi } from "../../plugins/llms/openai.js";
import { assertFails } from "../support/faults.js";
import { type Exported, exportSmolLm2, type RunningServer, serveTransformers } from "../support/transformers-serve.js";

const tokens = 24;
const chats = ["Name three film genres.", "Who directed Heat (1995)?", "Réponds en un mot : quel est le jour après lundi ?"].map(
  (content) => [{ role: "user", content }] as const,
);
const greedy: GenerationParameters = { temperature: 0, topK: 0, topP: 1, minP: 0, maxTokens: tokens, stop: [] };
const sampled: GenerationParameters = { ...greedy, temperature: 1, topP: 0.95, maxTokens: 8 };
const requests = (samples: number): GenerationRequest[] =>
  chats.map((messages, i) => ({ user: String(i), messages: [...messages], samples, seed: i + 1 }));

describe("openai against transformers serve", function () {
  this.timeout(20 * 60_000); // the first time a Python environment is made
  let exported: Exported;
  let server: RunningServer;
  before(async () => {
    exported = await exportSmolLm2(chats, tokens);
    server = await serveTransformers(exported.folder);
  });
  after(() => server?.stop());

  /** Seeds are the process's own there: one request at a time, or they mix. */
  const using = <Result>(body: (llm: LlmBackend) => Promise<Result>, options: object = {}) =>
    withPlugin(
      {
        plugin: OpenAi as PluginClass<LlmBackend>,
        options: { baseUrl: server.baseUrl, model: exported.folder, concurrency: 1, ...options },
      },
      async (llm) => {
        await llm.prepare({ dialogues: [] });
        return body(llm);
      },
    );

  it("writes greedily what transformers writes", async () => {
    const written = await using((llm) => llm.generate(requests(1), greedy), { concurrency: 3 });
    assert.deepEqual(
      written.map(([first]) => first?.text),
      exported.greedy,
    );
    for (const { tokens: counted, finish } of written.flat()) {
      assert.ok(counted > 0 && counted <= tokens);
      assert.ok(finish === "stop" || counted === tokens);
    }
  });

  it("writes N texts of a prompt by requests of their own, the same ones for the same seeds", async () => {
    const done: number[] = [];
    const first = await using((llm) => llm.generate(requests(2), sampled, (i) => done.push(i)));
    assert.deepEqual(done, [0, 1, 2]);
    assert.deepEqual(
      first.map((own) => own.length),
      [2, 2, 2],
    );
    assert.ok(new Set(first.flat().map(({ text }) => text)).size >= 5, "samples differ");
    assert.deepEqual(await using((llm) => llm.generate(requests(2).slice(1), sampled)), first.slice(1));
  });

  it("stops where it is told to", async () => {
    const [whole] = exported.greedy;
    const stop = whole?.slice(5, 8) as string;
    const [[stopped] = []] = await using((llm) => llm.generate(requests(1).slice(0, 1), { ...greedy, stop: [stop] }));
    assert.equal(stopped?.text, whole?.slice(0, whole.indexOf(stop)));
    assert.equal(stopped?.finish, "stop");
  });

  it("says what the server refuses: another model, an unknown field", async () => {
    await assertFails("RLRF_LLM_HTTP_REFUSED", () => using(async () => {}, { model: "someone/else" }), /someone\/else/);
    await assertFails("RLRF_LLM_HTTP_REFUSED", () => using(async () => {}, { extra: { colour: "red" } }), /422 .*colour/);
  });
});
