/** A run is promoted to a folder, the folder is served, and what is served is what the run evaluated. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import fs from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { Ajv2020 } from "ajv/dist/2020.js";
import type { RerankResponse } from "../../framework/serving/messages.js";
import { packageRoot } from "../../framework/setup/paths.js";
import { ask, evaluatedLists, promote, type Served, serve, servedRun } from "../support/served.js";

interface Refused {
  readonly error: { readonly code: string; readonly message: string; readonly where?: string };
}

async function schema(name: string): Promise<object> {
  return JSON.parse(await fs.readFile(join(packageRoot, "registry", `${name}.schema.json`), "utf8")) as object;
}

describe("a run, promoted and served", function () {
  this.timeout(10 * 60_000);
  let folder: string;
  let run: string;
  let model: string;
  let served: Served;

  before(async () => {
    ({ folder, run } = await servedRun());
    model = join(folder, "model");
    const { status, stdout, stderr } = await promote(folder, "--out", model);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /arm llm-1 of served-\w+, the recommender of seed 1 that the run evaluated[\s\S]*as in the run +\d+ lists/);
    served = await serve(model);
  });

  after(() => {
    served?.process.kill("SIGKILL");
  });

  it("scores every list of the run's test users as the run did, with the text that the run wrote", async () => {
    const texts = (await fs.readFile(join(run, "texts", "llm-1.jsonl"), "utf8")).trim().split("\n");
    const byUser = new Map(texts.map((line) => JSON.parse(line) as { user: string; text: string }).map(({ user, text }) => [user, text]));
    const valid = new Ajv2020({ strict: false }).compile(await schema("rerank-response"));
    const lists = await evaluatedLists(run, "llm-1", 1);
    assert.ok(lists.length > 30);
    for (const { user, request, scores } of lists) {
      const { status, body } = await ask(served.address, "/rerank", request);
      assert.equal(status, 200, JSON.stringify(body));
      assert.ok(valid(body), JSON.stringify(valid.errors));
      assert.deepEqual([body.text.from, body.text.text], ["cache", byUser.get(user)]);
      for (const [i, score] of scores.entries()) assert.ok(Math.abs(score - (body.scores[i] as number)) < 1e-5, `${user} ${i}`);
      const ranked = [...request.candidates.keys()].sort((a, b) => (scores[b] as number) - (scores[a] as number));
      const apart = ranked.every((at, i) => i === 0 || (scores[ranked[i - 1] as number] as number) - (scores[at] as number) > 1e-5);
      if (apart) assert.deepEqual(body.order, ranked.map((at) => request.candidates[at])); // biome-ignore format: one line
    }
  });

  it("leaves no tensor behind, whatever it is asked", async () => {
    const [first, second] = await evaluatedLists(run, "llm-1", 1);
    const tensors = async () => /^rlrf_tensors (\d+)$/m.exec((await ask<string>(served.address, "/metrics")).body)?.[1];
    await ask(served.address, "/rerank", first?.request);
    const before = await tensors();
    assert.ok(Number(before) > 0);
    for (let i = 0; i < 20; i++) {
      await ask(served.address, "/rerank", { ...second?.request, text: `Genre: Drama ${i}\nPeriod: 1990s` });
      await ask(served.address, "/rerank", { ...first?.request, candidates: first?.request.candidates.slice(0, 1 + (i % 9)) });
      await ask(served.address, "/rerank", { history: [], candidates: ["nothing"] });
    }
    assert.equal(await tensors(), before);
  });

  it("takes the request's own text, and the template's where none is kept; unknown items of the history count for nothing", async () => {
    const [list] = await evaluatedLists(run, "llm-1", 1);
    const history = [{ item: "i1", rating: 5 }, { item: "never seen", rating: 1 }, { item: "i2", rating: 1 }]; // biome-ignore format: one line
    const own = await ask(served.address, "/rerank", { ...list?.request, text: "Genre: Drama\n nonsense\nAvoids: War" });
    assert.deepEqual(own.body.text, {
      from: "request",
      text: "Genre: Drama\n nonsense\nAvoids: War",
      parsed: { Genre: "Drama", Avoids: "War" },
    });
    assert.deepEqual((await ask(served.address, "/rerank", { history, candidates: ["i3", "i4"] })).body.unknown, ["never seen"]);
  });

  it("refuses what it cannot answer, with a status and a code of ours", async () => {
    const good = { history: [{ item: "i1", rating: 3 }], candidates: ["i2", "i3"] };
    const refusals: [number, string, unknown, string?][] = [
      [400, "RLRF_SERVE_REQUEST", '{"history": ['],
      [400, "RLRF_SERVE_REQUEST", "[".repeat(100_000)],
      [400, "RLRF_SERVE_REQUEST", '{"__proto__": {"x": 1}, "history": [], "candidates": ["i1"]}'],
      [400, "RLRF_SERVE_REQUEST", ""],
      [400, "RLRF_SERVE_REQUEST", "null"],
      [400, "RLRF_SERVE_REQUEST", { ...good, candidates: [] }],
      [400, "RLRF_SERVE_REQUEST", { ...good, candidates: ["i2", "i2"] }],
      [400, "RLRF_SERVE_REQUEST", { ...good, extra: 1 }],
      [400, "RLRF_SERVE_REQUEST", { ...good, window: 9 }],
      [400, "RLRF_SERVE_REQUEST", { ...good, history: [{ item: "i1", rating: 6 }] }],
      [400, "RLRF_SERVE_REQUEST", { ...good, history: [{ item: "i1", rating: 3, time: 1 }, { item: "i2", rating: 3 }] }], // biome-ignore format: one line
      [413, "RLRF_SERVE_SIZE", { ...good, history: Array.from({ length: 2001 }, () => ({ item: "i1", rating: 3 })) }],
      [413, "RLRF_SERVE_SIZE", " ".repeat(300_000)],
      [415, "RLRF_SERVE_MEDIA", JSON.stringify(good), "text/plain"],
      [422, "RLRF_SERVE_ITEM", { ...good, candidates: ["i2", "nowhere"] }],
    ];
    for (const [status, code, body, type] of refusals) {
      const answer = await ask<Refused>(served.address, "/rerank", body, type);
      assert.deepEqual([answer.status, answer.body.error.code], [status, code], JSON.stringify([body, answer.body]).slice(0, 300));
      assert.doesNotMatch(JSON.stringify(answer.body), /\bat .*\.js:\d/);
    }
    assert.deepEqual((await ask<Refused>(served.address, "/nowhere")).body.error.code, "RLRF_SERVE_ROUTE");
    assert.equal((await ask<RerankResponse>(served.address, "/rerank", good)).status, 200);
  });

  it("has the LLM write what the run's LLM wrote, where no text is kept", async () => {
    const writing = await serve(model, "--texts", "llm", "--llm-wait", "60");
    const lists = await evaluatedLists(run, "llm-1", 1);
    const texts = (await fs.readFile(join(run, "texts", "llm-1.jsonl"), "utf8")).trim().split("\n");
    const byUser = new Map(texts.map((line) => JSON.parse(line) as { user: string; text: string }).map(({ user, text }) => [user, text]));
    const asked = lists.filter((_, i) => i % 12 === 0);
    const answers = await Promise.all(asked.map(({ request }) => ask(writing.address, "/rerank", request)));
    for (const [i, { body }] of answers.entries()) {
      assert.deepEqual([body.text.from, body.text.text], ["llm", byUser.get(asked[i]?.user as string)]);
      for (const [j, score] of (asked[i]?.scores ?? []).entries()) assert.ok(Math.abs(score - (body.scores[j] as number)) < 1e-5);
    }
    writing.process.kill("SIGKILL");
    await writing.finished;
  });

  it("goes on with the template while the LLM writes or is gone, and keeps what it writes", async () => {
    const waiting = await serve(model, "--llm-wait", "0");
    const soon = async (rating: number, from: string) => {
      const request = { history: [{ item: "i1", rating }, { item: "i2", rating: 6 - rating }], candidates: ["i3", "i4", "i5"] }; // biome-ignore format: one line
      for (let tries = 0; tries < 600; tries++) {
        const { status, body } = await ask(waiting.address, "/rerank", request);
        assert.equal(status, 200);
        if (body.text.from === from) return;
        assert.equal(body.text.from, "template");
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      assert.fail(`no text came from ${from}`);
    };
    await soon(5, "template");
    await soon(5, "cache");
    const pids = await promisify(execFile)("ps", ["-o", "pid=", "--ppid", String(waiting.process.pid)]);
    const children = pids.stdout.trim().split(/\s+/).map(Number);
    assert.equal(children.length, 1, pids.stdout);
    process.kill(children[0] as number, "SIGKILL");
    await soon(4, "template");
    await soon(4, "cache"); // by the process that took its place
    waiting.process.kill("SIGTERM");
    const { status, stderr } = await waiting.finished;
    assert.equal(status, 0);
    assert.match(stderr, /RLRF_SERVE_LLM: the LLM's process ended \(SIGKILL\) and is started again/);
  });

  it("ends on SIGTERM with what it was asked answered, and status 0", async () => {
    const other = await serve(model);
    assert.equal((await ask(other.address, "/ready")).status, 200);
    const [list] = await evaluatedLists(run, "llm-1", 1);
    const asked = Array.from({ length: 30 }, () => ask(other.address, "/rerank", list?.request));
    await Promise.race(asked);
    other.process.kill("SIGTERM");
    const answers = await Promise.all(asked);
    assert.ok(answers.every(({ status }) => status === 200), JSON.stringify(answers.map(({ status }) => status))); // biome-ignore format: one line
    const { status, stderr } = await other.finished;
    assert.equal(status, 0, stderr);
  });
});
