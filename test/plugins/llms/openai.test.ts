import assert from "node:assert/strict";
import type { GeneratedText, GenerationParameters, GenerationRequest, LlmBackend } from "../../../framework/contracts/llm.js";
import { RlrfError } from "../../../framework/errors.js";
import { createRng } from "../../../framework/rng.js";
import { withPlugin } from "../../../framework/testing/index.js";
import { OpenAi } from "../../../plugins/llms/openai.js";
import { type ChatRequestBody, ChatServer, json, type Offer, textFor } from "../../support/chat-server.js";
import { assertFails, createListener, type Listener } from "../../support/faults.js";
import { type Fault, useFaultyProxies } from "../../support/faulty-proxy.js";
import { expected, parameters, requests, texts, withOpenAi } from "../../support/openai.js";

/** An answer that never comes ends in some milliseconds. */
const quick = { timeout: 0.3 };

describe("openai", () => {
  const open = useFaultyProxies();
  const serve = async (offer: Offer = {}) => new ChatServer(await open(), offer);
  const using = <Result>(server: ChatServer, body: (llm: LlmBackend) => Promise<Result>, options: object = {}, listener?: Listener) =>
    withOpenAi(server, body, { ...quick, ...options }, listener);

  describe("asks a server for what it offers", () => {
    it("N texts by one request, in the order of their numbers, counted by their log-probs", async () => {
      const server = await serve();
      const written = await using(server, (llm) => llm.generate(requests(5), parameters));
      assert.deepEqual(texts(written), expected(requests(5)));
      assert.equal(server.asked.length, 5);
      assert.ok(server.asked.every(({ n, logprobs, stream }) => n === 3 && logprobs === true && stream === false));
      assert.ok(written.flat().every(({ tokens, finish }) => tokens === 4 && finish === "stop"));
    });

    for (const n of ["ignored", "refused", "copied"] as const)
      it(`N requests, a seed each, where n is ${n}`, async () => {
        const server = await serve({ n, logprobs: false });
        const written = await using(server, (llm) => llm.generate(requests(2), parameters));
        const seeds = requests(2).map(({ seed }) => [0, 1, 2].map((sample) => createRng(seed, "sample", sample).seed()));
        assert.deepEqual(
          texts(written),
          requests(2).map(({ messages }, i) => seeds[i]?.map((seed) => textFor({ messages, seed }, 0))),
        );
        assert.deepEqual(server.asked.map(({ seed }) => seed).sort(), seeds.flat().sort());
        assert.ok(server.asked.every((body) => !("n" in body) && !("logprobs" in body)));
        assert.ok(written.flat().every(({ tokens }) => tokens === 4));
      });

    it("as the spec says, where it says so", async () => {
      const server = await serve();
      await using(server, (llm) => llm.generate(requests(1), parameters), { choices: "requests" });
      assert.equal(server.asked.length, 3);
      const ignoring = await serve({ n: "ignored" });
      const generate = () => using(ignoring, (llm) => llm.generate(requests(1), parameters), { choices: "n" });
      await assertFails("RLRF_LLM_HTTP_ANSWER", generate, /1 choices instead of 3[\s\S]*options\.choices to "requests"/);
    });

    it("only the fields that say something where it is strict, and those that the user adds", async () => {
      const server = await serve({ unknown: ["top_k", "min_p", "repetition_penalty"] });
      const asked = async (changes: Partial<GenerationParameters>, options: object = {}) => {
        await using(server, (llm) => llm.generate(requests(1, 1), { ...parameters, ...changes }), options);
        const { messages: _, logprobs: __, ...body } = server.asked.at(-1) ?? { messages: [] };
        return body;
      };
      const always = { model: "m", stream: false, max_tokens: 12, top_p: 1 };
      assert.deepEqual(await asked({ temperature: 0 }), { ...always, temperature: 0 });
      assert.deepEqual(await asked({}), { ...always, temperature: 1, seed: 100 });
      assert.deepEqual(await asked({ topP: 0.9, stop: ["\n\n"] }), {
        ...always,
        ...{ temperature: 1, seed: 100, top_p: 0.9, stop: ["\n\n"] },
      });
      const extra = { temperature: 9, chat_template_kwargs: { enable_thinking: false } };
      assert.deepEqual(await asked({ temperature: 0 }, { extra, limitField: "max_completion_tokens" }), {
        ...{ model: "m", stream: false, max_completion_tokens: 12, top_p: 1, temperature: 0 },
        chat_template_kwargs: { enable_thinking: false },
      });
      await assertFails("RLRF_LLM_HTTP_REFUSED", () => asked({ topK: 5 }), /top_k/); // it was asked for
    });

    it("with every cut of its own turned off, or as the spec has it", async () => {
      const server = await serve();
      const asked = async (changes: Partial<GenerationParameters>, options: object = {}) => {
        await using(server, (llm) => llm.generate(requests(1, 1), { ...parameters, ...changes }), options);
        const { top_p, top_k, min_p, repetition_penalty } = server.asked.at(-1) as ChatRequestBody;
        return { top_p, top_k, min_p, repetition_penalty };
      };
      const off = { top_p: 1, top_k: -1, min_p: 0, repetition_penalty: 1 };
      assert.deepEqual(await asked({}), off);
      assert.deepEqual(await asked({ topK: 5, topP: 0.9, minP: 0.1 }), { ...off, top_p: 0.9, top_k: 5, min_p: 0.1 });
      assert.deepEqual(await asked({}, { extra: { top_k: 3, repetition_penalty: 1.1 } }), { ...off, repetition_penalty: 1.1 });
    });

    it("and says once where the server's own cuts may apply", async () => {
      const warned = async (offer: Offer, changes: Partial<GenerationParameters> = {}) => {
        const listener = createListener();
        await using(
          await serve(offer),
          async (llm) => {
            for (let i = 0; i < 2; i++) await llm.generate(requests(1), { ...parameters, ...changes });
          },
          {},
          listener,
        );
        return listener.warnings.map(({ code, message }) => `${code} ${message}`).join("\n");
      };
      for (const owned_by of ["vllm", "llamacpp", "sglang"]) assert.equal(await warned({ models: [{ id: "m", owned_by }] }), "");
      assert.match(await warned({}), /^RLRF_LLM_HTTP_CUTS 127\S+ takes top_k and min_p, but .*turn them off there$/);
      const strict = { models: [{ id: "m", owned_by: "vllm" }], unknown: ["top_k"] };
      assert.match(await warned(strict), /^RLRF_LLM_HTTP_CUTS 127\S+ refuses top_k .*$/);
      assert.equal(await warned(strict, { temperature: 0 }), "", "the likeliest token is cut by nothing");
      assert.equal(await warned({}, { topK: 5, minP: 0.1 }), "");
    });

    it("no more at once than it may", async () => {
      const server = await serve();
      server.delay = 10;
      await using(server, (llm) => llm.generate(requests(20), parameters), { concurrency: 4 });
      assert.equal(server.atOnce, 4);
    });
  });

  it("cuts a text at a stop string that the server does not know", async () => {
    const server = await serve();
    const [[first] = []] = await using(server, (llm) => llm.generate(requests(1, 1), { ...parameters, stop: ["t 0 ", "pt"] }));
    assert.deepEqual(first && { text: first.text, finish: first.finish }, { text: "prom", finish: "stop" });
  });

  it("takes a text that a filter or the limit ended for unfinished, and an empty one for a text", async () => {
    const server = await serve({ logprobs: false });
    const reasons = ["length", "content_filter", null, "stop"];
    server.misbehave = (k) => json({ choices: [{ message: { content: k === 3 ? null : "a b" }, finish_reason: reasons[k] ?? null }] });
    const written = await using(server, (llm) => llm.generate(requests(4, 1), parameters), { concurrency: 1 });
    assert.deepEqual(
      written.flat().map(({ finish }) => finish),
      ["length", "length", "length", "stop"],
    );
    assert.equal(written[3]?.[0]?.text, "");
  });

  describe("recovers from", () => {
    const passing: Record<string, (answer: object) => Fault> = {
      "too many requests": () => json({ error: { message: "slow down" } }, 429),
      "Retry-After in seconds": () => json({}, 429, { "retry-after": "0.05" }),
      "Retry-After as a date": () => json({}, 503, { "retry-after": new Date(Date.now() + 900).toUTCString() }),
      "server errors": () => ({ status: 502, body: "<html><h1>Bad Gateway</h1></html>" }),
      "a cut connection": () => "drop",
      "a cut answer": (answer) => ({ ...json(answer), cutAt: 20 }),
      "an answer that never comes": () => "hang",
      "an answer that comes too late": (answer) => ({ ...json(answer), after: 400 }),
      "what is no JSON": () => ({ status: 200, body: '{"choices": [' }),
      "another JSON": () => json({ hello: "world" }),
      "choices that are none": () => json({ choices: [1, null, {}] }),
      "too few choices": (answer) => json({ choices: (answer as { choices: object[] }).choices.slice(1) }),
      "too many choices": (answer) => json({ choices: [...(answer as { choices: object[] }).choices, {}] }),
      "a choice that stands twice": (answer) => {
        const { choices } = answer as { choices: { index: number }[] };
        return json({ choices: choices.map((choice) => ({ ...choice, index: 0 })) });
      },
      "a huge answer": () => ({ status: 200, body: Buffer.alloc(33 << 20, "x") }),
    };
    for (const [name, fault] of Object.entries(passing))
      it(name, async function () {
        this.timeout(10_000);
        const server = await serve();
        server.misbehave = (k, _, answer) => (k === 1 || k === 3 ? fault(answer) : null);
        const done: number[] = [];
        const options = name === "a huge answer" ? { timeout: 5 } : {};
        const written = await using(server, (llm) => llm.generate(requests(6), parameters, (i) => done.push(i)), options);
        assert.deepEqual(texts(written), expected(requests(6)));
        assert.deepEqual(done.sort(), [0, 1, 2, 3, 4, 5], "each prompt is done once");
        assert.equal(server.asked.length, 8, "only what failed is asked again");
      });

    it("a server that asks one request to wait: all of them do", async () => {
      const server = await serve();
      let asked = 0;
      server.misbehave = (k) => {
        if (k === 0) return json({}, 429, { "retry-after": "0.4" });
        if (asked === 0) asked = performance.now();
        return null;
      };
      const begun = performance.now();
      await using(server, (llm) => llm.generate(requests(4), parameters), { concurrency: 1 });
      assert.ok(asked - begun >= 400, `asked again after ${asked - begun} ms`);
    });
  });

  describe("ends in a coded error", () => {
    const failing =
      (fault: (answer: object) => Fault, options: object = {}) =>
      async () => {
        const server = await serve();
        server.misbehave = (_, __, answer) => fault(answer);
        return using(server, (llm) => llm.generate(requests(3), parameters), { concurrency: 1, ...options });
      };
    const address = /where {5}http:\/\/127\.0\.0\.1:\d+\/v1\/chat\/completions\n/;

    it("when a fault does not pass: which address, which status, what was said, what to do", async () => {
      const busy = await assertFails(
        "RLRF_LLM_HTTP_UNREACHABLE",
        failing(() => json({ detail: "no GPU" }, 503)),
        /in 4 tries; .*503 no GPU/,
      );
      assert.match(busy.message, address);
      assert.match(busy.message, /to do .*every finished text is kept/);
      await assertFails(
        "RLRF_LLM_HTTP_UNREACHABLE",
        failing(() => "drop"),
        /hang up|ECONNRESET/,
      );
      await assertFails(
        "RLRF_LLM_HTTP_UNREACHABLE",
        failing(() => "hang", { timeout: 0.05 }),
        /no whole answer within 0\.05 s/,
      );
      const html = failing(() => ({ status: 200, body: `<p>${"x".repeat(1000)}` }));
      const wrong = await assertFails("RLRF_LLM_HTTP_ANSWER", html, /no usable answer in 4 tries; the last one: 200, no JSON: "<p>xxx/);
      assert.ok(wrong.message.length < 800);
      const huge = failing(() => ({ status: 200, body: Buffer.alloc(33 << 20, "x") }), { timeout: 5, attempts: 1 });
      await assertFails("RLRF_LLM_HTTP_UNREACHABLE", huge, /in one try.*more than 33554432 bytes/);
    });

    it("at once when asking again would not help", async () => {
      for (const [status, code] of [
        [400, "RLRF_LLM_HTTP_REFUSED"],
        [401, "RLRF_LLM_HTTP_AUTH"],
        [403, "RLRF_LLM_HTTP_AUTH"],
        [404, "RLRF_LLM_HTTP_REFUSED"],
        [422, "RLRF_LLM_HTTP_REFUSED"],
        [501, "RLRF_LLM_HTTP_REFUSED"],
      ] as const) {
        const server = await serve();
        server.misbehave = () => json({ error: { message: "context length is 8", code: "too_long" } }, status);
        const generate = () => using(server, (llm) => llm.generate(requests(3), parameters), { concurrency: 1 });
        const error = await assertFails(code, generate, new RegExp(`${status} too_long: context length is 8`));
        assert.match(error.message, address);
        assert.equal(server.asked.length, 1, `${status} is asked once`);
      }
      const empty = failing(() => json({ error: { message: "pay", code: "insufficient_quota" } }, 429));
      await assertFails("RLRF_LLM_HTTP_REFUSED", empty, /429 insufficient_quota: pay/);
      const moved = failing(() => ({ status: 308, headers: { location: "http://elsewhere.invalid/" } }));
      await assertFails("RLRF_LLM_HTTP_REFUSED", moved, /points to http:\/\/elsewhere\.invalid/);
      const tomorrow = failing(() => json({ error: "daily limit" }, 429, { "retry-after": "86400" }));
      await assertFails("RLRF_LLM_HTTP_UNREACHABLE", tomorrow, /asks to wait 86400 s: 429 daily limit/);
    });

    it("before anything is asked, when the server is not there or has no such model", async () => {
      const server = await serve({ models: [{ id: "a" }, { id: "b" }] });
      const refusing = { attempts: 1 };
      server.proxy.fault = ({ url }) =>
        url === "/v1/models" ? json({ data: [{ id: "a" }, { id: "b" }] }) : json({ error: "The model `m` does not exist" }, 404);
      const error = await assertFails("RLRF_LLM_HTTP_MODEL", () => using(server, async () => {}), /does not exist[\s\S]*one of "a", "b"/);
      assert.equal(error.exit, 2);
      await server.proxy.down();
      await assertFails("RLRF_LLM_HTTP_UNREACHABLE", () => using(server, async () => {}, refusing), /ECONNREFUSED/);
    });

    it("and leaves nothing running behind", async () => {
      const server = await serve();
      server.delay = 50;
      server.misbehave = (k) => (k === 5 ? json({}, 400) : null);
      await assertFails("RLRF_LLM_HTTP_REFUSED", () => using(server, (llm) => llm.generate(requests(40), parameters)));
      await new Promise((resolve) => setTimeout(resolve, 150));
      assert.ok(server.asked.length <= 8, `${server.asked.length} were asked, 8 at once`);
    });
  });

  it("gives each prompt's texts when they are there, so that what a failure ends is asked again alone", async () => {
    const server = await serve();
    const kept = new Map<number, readonly GeneratedText[]>();
    server.misbehave = (k) => (k >= 7 ? json({}, 400) : null);
    const all = requests(10);
    await assertFails("RLRF_LLM_HTTP_REFUSED", () =>
      using(server, (llm) => llm.generate(all, parameters, (i, own) => kept.set(i, own)), { concurrency: 2 }),
    );
    assert.equal(kept.size, 7);
    server.misbehave = () => null;
    server.asked.length = 0;
    const missing = all.filter((_, i) => !kept.has(i));
    const rest = await using(server, (llm) => llm.generate(missing, parameters));
    assert.equal(server.asked.length, 3);
    const together = all.map((_, i) => kept.get(i) ?? rest[missing.indexOf(all[i] as GenerationRequest)] ?? []);
    assert.deepEqual(texts(together), expected(all));
  });

  it("ends when the signal says so, also while it waits", async () => {
    for (const fault of ["hang", json({}, 429, { "retry-after": "60" })] as const) {
      const server = await serve();
      server.misbehave = () => fault;
      const controller = new AbortController();
      const reason = new Error("Ctrl-C");
      setTimeout(() => controller.abort(reason), 50);
      const begun = performance.now();
      await assert.rejects(
        using(server, (llm) => llm.generate(requests(3), parameters, undefined, controller.signal), { timeout: 60 }),
        (error) => error === reason,
      );
      assert.ok(performance.now() - begun < 2000);
    }
  });

  it("ends with what a listener throws", async () => {
    const server = await serve();
    const full = new RlrfError("RLRF_DISK_FULL", { message: "no space" });
    const generate = using(server, (llm) =>
      llm.generate(requests(9), parameters, () => {
        throw full;
      }),
    );
    await assert.rejects(generate, (error) => error === full);
  });

  describe("its key", () => {
    before(() => {
      process.env.RLRF_TEST_LLM_KEY = "s3cret-key";
    });
    after(() => {
      delete process.env.RLRF_TEST_LLM_KEY;
    });
    const key = { key: { env: "RLRF_TEST_LLM_KEY" } };

    it("is sent, and never shown, not even when the server repeats it", async () => {
      const server = await serve();
      const listener = createListener();
      server.misbehave = () => json({ error: { message: "Incorrect API key provided: s3cret-key" } }, 401);
      const generate = () => using(server, (llm) => llm.generate(requests(1), parameters), key, listener);
      const error = await assertFails("RLRF_LLM_HTTP_AUTH", generate, /Incorrect API key provided: \*\*\*/);
      assert.ok(server.proxy.seen.every(({ headers }) => headers.authorization === "Bearer s3cret-key"));
      assert.doesNotMatch(`${error.stack} ${JSON.stringify(error)} ${JSON.stringify(listener)}`, /s3cret/);
    });

    it("crosses no network unencrypted, unless the user says so", async () => {
      const build = (baseUrl: string, more: object = {}) =>
        withPlugin({ plugin: OpenAi, options: { baseUrl, model: "m", ...key, ...more } }, async () => {});
      await assertFails("RLRF_LLM_HTTP_URL", () => build("http://10.0.0.7:8000/v1"), /unencrypted[\s\S]*plainHttp/);
      await assertFails("RLRF_LLM_HTTP_URL", () => build("http://127.0.0.1.evil.test/v1"), /unencrypted/);
      await build("http://10.0.0.7:8000/v1", { plainHttp: true });
      for (const url of ["https://10.0.0.7/v1", "http://localhost:1/v1", "http://127.0.0.1:1/v1", "http://[::1]:1/v1"]) await build(url);
    });

    it("stands nowhere in the address, which is that of a server", async () => {
      const build = (baseUrl: string) => withPlugin({ plugin: OpenAi, options: { baseUrl, model: "m" } }, async () => {});
      const error = await assertFails("RLRF_LLM_HTTP_URL", () => build("http://me:s3cret@localhost/v1"), /credentials/);
      assert.doesNotMatch(error.message, /s3cret/);
      for (const url of ["localhost:8000", "ftp://host/v1", "http://", "http://host/v1?key=1"])
        assert.equal((await assertFails("RLRF_LLM_HTTP_URL", () => build(url), /base URL/)).exit, 2);
    });
  });

  it("is who the server says it is", async () => {
    const identityOf = async (offer: Offer, options: object = {}) =>
      using(await serve(offer), async (llm) => llm.identity().split(" ").slice(1), options);
    const card = { id: "m", created: 1, owned_by: "vllm", root: "/models/a", max_model_len: 100, permission: [{ id: "1" }] };
    const identity = await identityOf({ models: [card] });
    assert.equal(identity[0], "m");
    assert.deepEqual(await identityOf({ models: [{ ...card, created: 2, permission: [{ id: "2" }] }] }), identity);
    assert.notDeepEqual(await identityOf({ models: [{ ...card, root: "/models/b" }] }), identity);
    assert.notDeepEqual(await identityOf({ models: [card] }, { extra: { top_k: 3 } }), identity);
    assert.notDeepEqual(await identityOf({ models: [card], unknown: ["top_k"] }), identity, "its own cuts may apply");
    await identityOf({ models: null }); // a server without a list
  });
});
