import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GenerationParameters } from "../../../framework/contracts/llm.js";
import { RlrfError } from "../../../framework/errors.js";
import { Replay } from "../../../plugins/llms/replay.js";

const parameters: GenerationParameters = { temperature: 1, topK: 0, topP: 1, minP: 0, maxTokens: 9, stop: [] };
const request = (user: string, samples = 1) => ({ user, samples, seed: 1, messages: [] });

describe("replay", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "rlrf-replay-"));
  });
  after(() => rm(folder, { recursive: true }));

  async function replay(content: string, name = "texts.jsonl"): Promise<Replay> {
    const path = join(folder, name);
    await writeFile(path, content);
    const backend = new Replay({ path });
    await backend.prepare();
    return backend;
  }
  const fails = async (content: string, code: string, message: RegExp) =>
    assert.rejects(
      replay(content),
      (error) => error instanceof RlrfError && error.code === code && error.exit === 2 && message.test(error.message),
    );

  it("finds a user's texts in a JSONL, further lines being further samples", async () => {
    const backend = await replay(
      '{"user": "7", "text": "Genre: Drama"}\n\n{"user": 8, "text": "b"}\r\n{"user": "7", "text": "second one"}\n',
    );
    const done: number[] = [];
    const texts = await backend.generate([request("8"), request("7", 2)], parameters, (index) => done.push(index));
    assert.deepEqual(texts.map((own) => own.map(({ text, tokens, finish }) => [text, tokens, finish])), [[["b", 1, "stop"]], [["Genre: Drama", 2, "stop"], ["second one", 2, "stop"]]]); // biome-ignore format: one table
    assert.deepEqual(done, [0, 1]);
    assert.equal("policy" in backend, false);
  });

  it("reads KAR's JSON, with prompts or without", async () => {
    const backend = await replay('{"1": {"prompt": "p", "answer": "likes war"},\n "2": "plain"}', "kar.json");
    const texts = await backend.generate([request("1"), request("2")], parameters);
    assert.deepEqual(texts.flat().map(({ text }) => text), ["likes war", "plain"]); // biome-ignore format: one line
  });

  it("is named by its file's content", async () => {
    const [a, b, same] = [
      await replay('{"user": "1", "text": "a"}'),
      await replay('{"user": "1", "text": "b"}'),
      await replay('{"user": "1", "text": "a"}', "other"),
    ];
    assert.notEqual(a.identity(), b.identity());
    assert.equal(a.identity(), same.identity());
  });

  it("names file and line of what it cannot read", async () => {
    await fails('{"user": "1", "text": "a"}\n{"user": "2"', "RLRF_REPLAY_FILE", /texts\.jsonl:2/);
    await fails('{"user": "1", "text": 3}\n', "RLRF_REPLAY_FILE", /texts\.jsonl:1/);
    await fails('{"text": "a"}\n{"user": "2", "text": "b"}', "RLRF_REPLAY_FILE", /texts\.jsonl:1/);
    await fails('{"1": {"prompt": "p"}}', "RLRF_REPLAY_FILE", /#\/1/);
    await fails("", "RLRF_REPLAY_FILE", /no texts/);
    await assert.rejects(
      new Replay({ path: join(folder, "missing") }).prepare(),
      (error) => error instanceof RlrfError && error.code === "RLRF_REPLAY_FILE",
    );
  });

  it("names the users that have too few texts", async () => {
    const backend = await replay('{"user": "1", "text": "a"}');
    await assert.rejects(backend.generate([request("1"), request("2"), request("1", 3)], parameters), (error) => {
      assert.ok(error instanceof RlrfError && error.code === "RLRF_REPLAY_MISSING");
      assert.match(error.message, /2 of 3 users.*2 \(has 0 of 1\), 1 \(has 1 of 3\)/);
      return true;
    });
    await assert.rejects(
      new Replay({ path: "x" }).generate([], parameters),
      (error) => error instanceof RlrfError && error.code === "RLRF_LLM_UNPREPARED",
    );
  });
});
