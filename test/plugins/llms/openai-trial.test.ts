/** What a server offers is tried once, when a run opens, and decides how every text is sampled: a passing fault must not change it. */
import assert from "node:assert/strict";
import { ChatServer, json, type Misbehaviour } from "../../support/chat-server.js";
import { assertFails } from "../../support/faults.js";
import { type Fault, useFaultyProxies } from "../../support/faulty-proxy.js";
import { expected, parameters, requests, texts, withOpenAi } from "../../support/openai.js";

describe("openai at its opening trial", () => {
  const open = useFaultyProxies();
  const attempts = 4;

  /** Who it is, how it is asked, and how it was tried. */
  async function opened(server: ChatServer, misbehave: Misbehaviour, options: object = {}) {
    server.asked.length = server.tried.length = 0;
    server.misbehaveAtFirst = misbehave;
    const identity = await withOpenAi(
      server,
      async (llm) => {
        assert.deepEqual(texts(await llm.generate(requests(2), parameters)), expected(requests(2)));
        return llm.identity();
      },
      { attempts, ...options },
    );
    return { identity, asked: [...server.asked], tries: server.tried.length };
  }

  const passing: Record<string, (answer: object) => Fault> = {
    "an overload": () => json({ error: { message: "overloaded" } }, 503),
    "too many requests": () => json({}, 429, { "retry-after": "0.01" }),
    "a server error": () => ({ status: 502, body: "<h1>Bad Gateway</h1>" }),
    "a cut connection": () => "drop",
    "an answer that never comes": () => "hang",
    "a cut answer": (answer) => ({ ...json(answer), cutAt: 20 }),
    "what is no JSON": () => ({ status: 200, body: '{"choices": [' }),
  };
  for (const [name, fault] of Object.entries(passing))
    it(`asks again after ${name}, and samples as if nothing had been`, async () => {
      const server = new ChatServer(await open());
      const options = { timeout: 0.3, concurrency: 1 };
      const sound = await opened(server, () => null, options);
      assert.equal(sound.tries, 1);
      const faulty = await opened(server, (k, _, answer) => (k < attempts - 1 ? fault(answer) : null), options);
      assert.deepEqual(faulty, { ...sound, tries: attempts });
    });

  it("ends when the fault does not pass, before any text is written", async () => {
    const server = new ChatServer(await open());
    const fail = (fault: Fault) => () => opened(server, () => fault);
    await assertFails("RLRF_LLM_HTTP_UNREACHABLE", fail(json({ error: "overloaded" }, 503)), /in 4 tries; .*503 overloaded/);
    assert.deepEqual([server.tried.length, server.asked.length], [attempts, 0]);
    await assertFails("RLRF_LLM_HTTP_UNREACHABLE", fail(json({}, 429, { "retry-after": "900" })), /asks to wait 900 s/);
    assert.deepEqual([server.tried.length, server.asked.length], [1, 0]);
  });

  it("does without what the server says no to, also where it says so with a status of success", async () => {
    const server = new ChatServer(await open());
    const unable = ({ n }: { readonly n?: number }) => (n === undefined ? null : json({ error: { message: "n is not supported" } }));
    server.misbehaveAtFirst = (_, body) => unable(body);
    await withOpenAi(server, (llm) => llm.generate(requests(1), parameters), { attempts });
    assert.equal(server.asked.length, requests(1)[0]?.samples);
    assert.ok(server.asked.every(({ n, logprobs, top_k }) => n === undefined && logprobs === true && top_k === -1));
  });
});
