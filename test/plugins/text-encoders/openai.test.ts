import assert from "node:assert/strict";
import type { TextEncoder } from "../../../framework/contracts/recommender.js";
import type { PluginClass } from "../../../framework/contracts/plugin.js";
import { withPlugin } from "../../../framework/testing/index.js";
import { OpenAiEmbeddings } from "../../../plugins/text-encoders/openai.js";
import { json } from "../../support/chat-server.js";
import { EmbeddingServer, embeddingOf } from "../../support/embedding-server.js";
import { assertFails, createListener } from "../../support/faults.js";
import { type Fault, type FaultyProxy, useFaultyProxies } from "../../support/faulty-proxy.js";

const unit = (vector: readonly number[]) => vector.map((value) => value / Math.hypot(...vector));

describe("text-encoders/openai", () => {
  const open = useFaultyProxies();

  const server = async (misbehave?: ConstructorParameters<typeof EmbeddingServer>[1]) => new EmbeddingServer(await open(), misbehave);
  const using = <Result>(proxy: FaultyProxy, options: object, body: (encoder: TextEncoder) => Promise<Result>) =>
    withPlugin(
      {
        plugin: OpenAiEmbeddings as PluginClass<TextEncoder>,
        options: { baseUrl: `${proxy.uri}/v1`, model: "m", attempts: 3, firstWait: 0.001, normalise: false, ...options },
        services: { logger: createListener() },
      },
      body,
    );

  it("asks in batches, and gives the vectors in the order of the texts", async () => {
    const { proxy, asked } = await server();
    const texts = Array.from({ length: 10 }, (_, i) => String.fromCharCode(97 + i).repeat(i + 1));
    const { width, vectors } = await using(proxy, { batchSize: 4, concurrency: 2 }, (encoder) => encoder.encode(texts));
    assert.deepEqual([width, [...vectors]], [3, texts.flatMap(embeddingOf)]);
    assert.deepEqual(asked.map(({ input }) => input.length).sort(), [2, 4, 4]);
    assert.ok(
      asked.every(({ model, encoding_format, dimensions }) => model === "m" && encoding_format === "float" && dimensions === undefined),
    );
  });

  it("sends prefix, dimensions, further fields and the key; an empty text is a space", async () => {
    const { proxy, asked } = await server();
    process.env.RLRF_TEST_KEY = "sk-secret";
    try {
      const options = { prefix: "query: ", dimensions: 3, extra: { user: "tests", model: "not this" }, key: { env: "RLRF_TEST_KEY" } };
      await using(proxy, options, (encoder) => encoder.encode(["a"]));
      await using(proxy, {}, (encoder) => encoder.encode([""]));
    } finally {
      delete process.env.RLRF_TEST_KEY;
    }
    assert.deepEqual(asked[0], { user: "tests", model: "m", input: ["query: a"], encoding_format: "float", dimensions: 3 });
    assert.equal(proxy.seen[0]?.headers.authorization, "Bearer sk-secret");
    assert.deepEqual(asked[1]?.input, [" "]);
  });

  it("normalises", async () => {
    const { proxy } = await server();
    const { vectors } = await using(proxy, { normalise: true }, (encoder) => encoder.encode(["ab", "c"]));
    for (const [i, value] of [...unit(embeddingOf("ab")), ...unit(embeddingOf("c"))].entries())
      assert.ok(Math.abs(value - (vectors[i] as number)) < 1e-6);
  });

  it("asks again where that may help, and gives the same", async () => {
    const data = (...embeddings: unknown[]) => json({ data: embeddings.map((embedding, index) => ({ index, embedding })) });
    const answers: readonly Fault[] = [
      json({ error: "busy" }, 503),
      json({ error: { message: "slow down" } }, 429, { "retry-after": "0" }),
      { status: 200, body: '{"data": [' },
      json({}),
      data([1, 2, 3]),
      data([1, 2, 3], [1, 2]),
      data([1, 2, 3], [1, 2, "x"]),
      data([1, 2, 3], []),
      json({
        data: [
          { index: 1, embedding: [1] },
          { index: 1, embedding: [1] },
        ],
      }),
      json({ data: [null, { index: 7, embedding: [1] }] }),
      "drop",
    ];
    for (const answer of answers) {
      const { proxy, asked } = await server((k) => (k === 0 ? answer : null));
      const { vectors } = await using(proxy, {}, (encoder) => encoder.encode(["a", "b"]));
      assert.deepEqual([...vectors], [...embeddingOf("a"), ...embeddingOf("b")]);
      assert.equal(proxy.seen.length, 2, JSON.stringify(answer));
      assert.ok(asked.length >= 1);
    }
  });

  it("ends with a coded error where that does not help, and never shows the key", async () => {
    const failing = async (answer: Fault, options: object, code: Parameters<typeof assertFails>[0], pattern: RegExp) => {
      const { proxy } = await server(() => answer);
      await assertFails(code, () => using(proxy, options, (encoder) => encoder.encode(["a"])), pattern);
    };
    process.env.RLRF_TEST_KEY = "sk-secret";
    try {
      const key = { key: { env: "RLRF_TEST_KEY" } };
      await failing(json({ error: { message: "bad key sk-secret" } }, 401), key, "RLRF_LLM_HTTP_AUTH", /bad key \*\*\*/);
    } finally {
      delete process.env.RLRF_TEST_KEY;
    }
    await failing(json({ error: { message: "no such model" } }, 404), {}, "RLRF_LLM_HTTP_REFUSED", /no such model/);
    await failing(json({ data: [] }), {}, "RLRF_LLM_HTTP_ANSWER", /0 vectors for 1 texts[\s\S]*embeddings interface/);
    await failing(json({ data: [{ index: 0, embedding: [1, 2] }] }), { dimensions: 3 }, "RLRF_LLM_HTTP_ANSWER", /2 numbers, not the 3/);
    await failing(json({ error: "down" }, 500), {}, "RLRF_LLM_HTTP_UNREACHABLE", /in 3 tries/);
  });

  it("sends no key unencrypted to another machine, and takes no credentials in an address", async () => {
    process.env.RLRF_TEST_KEY = "sk-secret";
    try {
      const { proxy } = await server();
      const options = { baseUrl: "http://example.org/v1", key: { env: "RLRF_TEST_KEY" } };
      await assertFails("RLRF_LLM_HTTP_URL", () => using(proxy, options, async () => {}), /unencrypted/);
      await assertFails("RLRF_LLM_HTTP_URL", () => using(proxy, { baseUrl: "http://a:b@127.0.0.1/v1" }, async () => {}), /credentials/);
    } finally {
      delete process.env.RLRF_TEST_KEY;
    }
  });
});
