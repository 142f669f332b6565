/** Many servers of one model. */
import assert from "node:assert/strict";
import type { AdapterFiles, LlmBackend } from "../../../framework/contracts/llm.js";
import { ChatServer, json, type Offer } from "../../support/chat-server.js";
import { assertFails, createListener, type Listener } from "../../support/faults.js";
import { type Fault, useFaultyProxies } from "../../support/faulty-proxy.js";
import { expected, parameters, requests, texts, withOpenAi } from "../../support/openai.js";
import { VllmServer } from "../../support/vllm-server.js";

const quick = { firstWait: 0.01, concurrency: 2 };
const always = (fault: Fault) => () => fault;
const bodyOf = ({ asked: [first] }: ChatServer) => ({ ...first, messages: [], seed: 0 });
const broken = json({ error: { message: "out of memory" } }, 500);

describe("openai with a list of servers", () => {
  const open = useFaultyProxies();
  const serve = async (offer: Offer = {}) => new ChatServer(await open(), offer);
  const using = <Result>(
    servers: readonly ChatServer[],
    body: (llm: LlmBackend) => Promise<Result>,
    options: object = {},
    listener?: Listener,
  ) => withOpenAi(servers, body, { ...quick, ...options }, listener);
  const written = async (llm: LlmBackend, count: number) => texts(await llm.generate(requests(count), parameters));

  it("asks the one that has least to do: a slow one gets less", async () => {
    const servers = [await serve(), await serve(), await serve()] as const;
    const [slow, ...others] = servers;
    slow.delay = 150;
    for (const server of others) server.delay = 10;
    await using(servers, async (llm) => assert.deepEqual(await written(llm, 60), expected(requests(60))));
    assert.equal(servers.reduce((sum, { asked }) => sum + asked.length, 0), 60); // biome-ignore format: one line
    assert.ok(slow.asked.length < 15, `${slow.asked.length} of 60 went to the slow one`);
    for (const { asked, atOnce } of servers)
      assert.ok(asked.length > 0 && atOnce <= quick.concurrency, `${asked.length}, ${atOnce} at once`);
  });

  it("ends what it began with one healthy server of three, and says what each did", async () => {
    const [down, failing, healthy] = [await serve(), await serve(), await serve()];
    await down.proxy.down();
    failing.misbehave = always(broken);
    const listener = createListener();
    const shares = await using(
      [down, failing, healthy],
      async (llm) => {
        assert.deepEqual(await written(llm, 40), expected(requests(40)));
        return llm.shares?.() ?? [];
      },
      {},
      listener,
    );
    assert.equal(healthy.asked.length, 40);
    const [first, second, third] = shares;
    assert.deepEqual([first?.answers, third?.failures, third?.leftOut], [0, 0, 0]);
    assert.ok((second?.failures ?? 0) > 0 && (second?.failures ?? 0) < 20, "it is left out, not asked each time");
    assert.equal(second?.leftOut, second?.failures);
    assert.ok((third?.answers ?? 0) >= 40);
    assert.match(listener.warnings.map(({ message }) => message).join("\n"), /127\.0\.0\.1:\d+ is left out for [\d.]+ s/);
    assert.match(listener.infos.at(-1) ?? "", /^requests by server: 127\S+ 0 \(\d+ failed, left out \d+ times\), .* 127\S+ 4\d$/);
  });

  it("tries a server again that was left out, and gives it its share when it is back", async () => {
    const [back, other] = [await serve(), await serve()];
    back.misbehave = (k) => (k < 2 ? broken : null);
    for (const server of [back, other]) server.delay = 15;
    const listener = createListener();
    await using([back, other], async (llm) => assert.deepEqual(await written(llm, 80), expected(requests(80))), {}, listener);
    assert.ok(back.asked.length > 20, `${back.asked.length} of 80`);
    assert.match(listener.infos.join("\n"), /127\.0\.0\.1:\d+ answers again/);
  });

  it("begins without a server that is only starting, and takes it in later", async () => {
    const [late, there] = [await serve(), await serve()];
    await late.proxy.down();
    there.delay = 10;
    await using([late, there], async (llm) => {
      await written(llm, 4);
      await late.proxy.up();
      assert.deepEqual(await written(llm, 60), expected(requests(60)));
    });
    assert.ok(late.asked.length > 10, `${late.asked.length} of 60`);
  });

  it("waits as long as the only server asks it to", async () => {
    const [first, second] = [await serve(), await serve()];
    await second.proxy.down();
    const times: number[] = [];
    first.misbehave = (k) => {
      times.push(Date.now());
      return k === 0 ? json({ error: "slow down" }, 429, { "retry-after": "0.3" }) : null;
    };
    await using([first, second], (llm) => written(llm, 1));
    assert.ok((times[1] ?? 0) - (times[0] ?? 0) >= 290, `${times}`);
  });

  describe("that are asked to wait for longer than anyone does", () => {
    const later = json({ error: "slow down" }, 429, { "retry-after": "900" });

    it("leaves such a one alone, whatever its earlier requests come to", async () => {
      const [away, other] = [await serve(), await serve()];
      away.misbehave = (k) => (k > 0 ? later : null);
      away.delay = 30; // its first answer comes when the second was put off
      other.delay = 5;
      await using([away, other], async (llm) => assert.deepEqual(await written(llm, 60), expected(requests(60))));
      assert.equal(away.asked.length, quick.concurrency);
    });

    it("ends where all are such", async () => {
      const servers = [await serve(), await serve()];
      for (const server of servers) server.misbehave = always(later);
      await assertFails("RLRF_LLM_HTTP_UNREACHABLE", () => using(servers, (llm) => written(llm, 6)), /asks to wait 900 s: 429 slow down/);
      for (const { asked } of servers) assert.ok(asked.length <= quick.concurrency, `${asked.length}`);
    });
  });

  describe("of which one fails at the opening trial", () => {
    const overloaded = json({ error: { message: "overloaded" } }, 503);
    for (const [name, fault] of [
      ["is overloaded", overloaded],
      ["gives an answer that is cut", { status: 200, body: '{"choices": [' }],
    ] as const)
      it(`takes it in as what it is when it ${name} for a moment`, async () => {
        const [passing, other] = [await serve(), await serve()];
        passing.misbehaveAtFirst = (k) => (k < 3 ? fault : null);
        for (const server of [passing, other]) server.delay = 5;
        await using([passing, other], async (llm) => assert.deepEqual(await written(llm, 60), expected(requests(60))));
        assert.ok(passing.asked.length > 5, `${passing.asked.length} of 60`);
        assert.deepEqual(bodyOf(passing), bodyOf(other));
      });

    it("does not wait for it when it asks for patience", async () => {
      const [patient, other] = [await serve(), await serve()];
      patient.misbehaveAtFirst = always(json({}, 503, { "retry-after": "500" }));
      await using([patient, other], async (llm) => assert.deepEqual(await written(llm, 6), expected(requests(6))));
      assert.equal(patient.tried.length, 1);
    });
  });

  describe("that take adapters", () => {
    const adapter: AdapterFiles = { folder: "/runs/a/adapters/iteration-1", identity: "values 1" };
    const serveTwo = async () => {
      const servers = [new VllmServer(await open()), new VllmServer(await open())] as const;
      for (const server of servers) server.delay = 5;
      return servers;
    };
    const usingAdapters: typeof using = (servers, body) => using(servers, body, { adapters: "vllm" });
    const models = ({ asked }: ChatServer) => [...new Set(asked.map(({ model }) => model))];

    it("loads them on each, on a late one before it writes", async () => {
      const servers = await serveTwo();
      const [{ loads: first }, { loads: second, proxy }] = servers;
      await proxy.down();
      await usingAdapters(servers, async (llm) => {
        await llm.useAdapter?.(adapter);
        assert.deepEqual([first.length, second.length], [1, 0]);
        await proxy.up();
        await written(llm, 40);
      });
      assert.deepEqual(second, first);
      for (const server of servers) assert.deepEqual(models(server), first);
    });

    const losses: Record<string, (lost: VllmServer, other: VllmServer, write: () => Promise<unknown>) => Promise<unknown>> = {
      "was restarted": async (lost, _, write) => {
        await lost.restart();
        return write();
      },
      "went down and came back": async (lost, other, write) => {
        await lost.proxy.down();
        const written = write();
        const already = other.asked.length;
        while (other.asked.length < already + 9) await new Promise((resolve) => setTimeout(resolve, 2));
        await lost.restart();
        return written;
      },
    };
    for (const [name, lose] of Object.entries(losses))
      it(`loads them again on one that ${name}`, async () => {
        const servers = await serveTwo();
        const [lost, other] = servers;
        const before = await usingAdapters(servers, async (llm) => {
          await llm.useAdapter?.(adapter);
          await written(llm, 6);
          const asked = lost.asked.length;
          assert.deepEqual(await lose(lost, other, () => written(llm, 60)), expected(requests(60)));
          return asked;
        });
        assert.ok(lost.asked.length - before > 5, `${lost.asked.length - before} of 60 went to the one that had lost it`);
        for (const server of servers) assert.deepEqual(models(server), [other.loads[0]], "none was written by another model");
      });
  });

  it("has the same identity with more servers behind the first", async () => {
    const [first, second] = [await serve(), await serve()];
    const identity = await using([first], async (llm) => llm.identity());
    assert.equal(await using([first, second], async (llm) => llm.identity()), identity);
  });

  it("ends in a coded error when all fail for good, or are not of one model", async () => {
    const [first, second] = [await serve(), await serve()];
    for (const { proxy } of [first, second]) await proxy.down();
    await assertFails("RLRF_LLM_HTTP_UNREACHABLE", () => using([first, second], async () => {}));
    const [sound, ignoring] = [await serve(), await serve({ n: "ignored" })];
    const large = await serve({ models: [{ id: "m", owned_by: "tests", root: "another" }] });
    await assertFails("RLRF_LLM_HTTP_MODEL", () => using([sound, large], async () => {}), /offers another model[\s\S]*"another"/);
    await assertFails("RLRF_LLM_HTTP_MODEL", () => using([sound, ignoring], async () => {}), /n texts a request/);
    const failing = [await serve(), await serve()];
    for (const server of failing) server.misbehave = always(broken);
    await assertFails("RLRF_LLM_HTTP_UNREACHABLE", () => using(failing, (llm) => written(llm, 3)), /500 out of memory/);
  });
});
