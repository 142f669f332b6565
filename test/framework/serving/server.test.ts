/** The HTTP side alone, over services that do what the test says. */
import assert from "node:assert/strict";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { RlrfError } from "../../../framework/errors.js";
import { Metrics } from "../../../framework/serving/metrics.js";
import { Server, type ServerLimits } from "../../../framework/serving/server.js";
import type { RerankResponse } from "../../../framework/serving/messages.js";
import type { Service } from "../../../framework/serving/service.js";
import { assertFails, createListener } from "../../support/faults.js";
import { ask } from "../../support/served.js";

const answer = { order: [], scores: [], text: { from: "none", text: null, parsed: {} }, unknown: [] } as unknown as RerankResponse;
type Rerank = (body: unknown) => Promise<RerankResponse>;
interface Refused {
  readonly error: { readonly code: string; readonly message: string };
}

describe("a server", () => {
  const limits: ServerLimits = { body: 1000, pending: 2, receive: 300, answer: 200, drain: 0 };
  const listener = createListener();
  let server: Server;

  async function listen(rerank: Rerank | null, more: Partial<ServerLimits> = {}): Promise<string> {
    const metrics = new Metrics(
      () => ({}),
      () => ({}),
    );
    server = await Server.listen({ host: "127.0.0.1", port: 0, limits: { ...limits, ...more } }, metrics, listener);
    if (rerank !== null) server.serve({ rerank } as unknown as Service);
    return server.address;
  }
  afterEach(() => server.end());
  const codeOf = async (address: string, body: unknown = {}) => {
    const { status, body: said } = await ask<Refused>(address, "/rerank", body);
    return `${status} ${said.error?.code ?? ""}`.trim();
  };

  it("is alive before it is ready", async () => {
    const address = await listen(null);
    assert.deepEqual([(await ask(address, "/health")).status, (await ask(address, "/ready")).status], [200, 503]);
    assert.equal(await codeOf(address), "503 RLRF_SERVE_UNREADY");
  });

  it("answers no more at once than it was told to, and says when to come again", async () => {
    const waiting: (() => void)[] = [];
    const address = await listen(() => new Promise((resolve) => waiting.push(() => resolve(answer))));
    const first = [codeOf(address), codeOf(address)];
    while (waiting.length < 2) await sleep(5);
    const third = await ask<Refused>(address, "/rerank", {});
    assert.deepEqual([third.status, third.body.error.code, third.headers["retry-after"]], [503, "RLRF_SERVE_BUSY", "1"]);
    for (const go of waiting) go();
    assert.deepEqual(await Promise.all(first), ["200", "200"]);
  });

  it("says so when an answer takes too long, and when a request does not arrive", async () => {
    const address = await listen(() => new Promise(() => {}));
    assert.equal(await codeOf(address), "504 RLRF_SERVE_LATE");
    const { hostname, port } = new URL(address);
    const socket = net.connect(Number(port), hostname);
    socket.write('POST /rerank HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"hist');
    let said = "";
    for await (const chunk of socket) said += String(chunk);
    assert.match(said, /^HTTP\/1\.1 408 [\s\S]*RLRF_SERVE_SLOW/);
  });

  it("gives a code to what is no HTTP", async () => {
    const { hostname, port } = new URL(await listen(null));
    const socket = net.connect(Number(port), hostname);
    socket.write("how do you do?\r\n\r\n");
    let said = "";
    for await (const chunk of socket) said += String(chunk);
    assert.match(said, /^HTTP\/1\.1 400 [\s\S]*RLRF_SERVE_REQUEST/);
  });

  it("keeps to itself what failed inside, and tells its log", async () => {
    const address = await listen(async (body) => {
      if ((body as { coded: boolean }).coded) throw new RlrfError("RLRF_TEXT_WIDTH", { message: "at /secret/place" });
      throw new TypeError("of /secret/place");
    });
    for (const coded of [true, false]) {
      const { status, body } = await ask<Refused>(address, "/rerank", { coded });
      assert.deepEqual([status, body.error.code], [500, coded ? "RLRF_TEXT_WIDTH" : "RLRF_INTERNAL"]);
      assert.doesNotMatch(JSON.stringify(body), /secret/);
    }
    assert.equal(listener.warnings.filter(({ message }) => message.includes("/secret/place")).length, 2);
  });

  it("answers what has come when it ends, and says before that it does", async () => {
    const go: (() => void)[] = [];
    const address = await listen(() => new Promise((resolve) => go.push(() => resolve(answer))), { drain: 150, answer: 5000 });
    const asked = codeOf(address);
    while (go.length < 1) await sleep(5);
    const ended = server.end();
    assert.equal((await ask(address, "/ready")).status, 503);
    const late = codeOf(address);
    while (go.length < 2) await sleep(5);
    await sleep(200);
    for (const finish of go) finish();
    assert.deepEqual(await Promise.all([asked, late]), ["200", "200"]);
    await ended;
    await assert.rejects(ask(address, "/health"), /ECONNREFUSED/);
  });

  it("says when its address is taken", async () => {
    const { port } = new URL(await listen(null));
    const again = () => Server.listen({ host: "127.0.0.1", port: Number(port), limits }, {} as Metrics, listener);
    await assertFails("RLRF_SERVE_ADDRESS", again, /EADDRINUSE/);
  });
});
