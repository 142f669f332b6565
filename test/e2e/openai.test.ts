/** A whole run whose texts come from a server: killed in the middle, it asks only for what is missing. */
import assert from "node:assert/strict";
import fs from "node:fs/promises";
import { join } from "node:path";
import { packageRoot } from "../../framework/setup/paths.js";
import { ChatServer, json } from "../support/chat-server.js";
import { useFaultyProxies } from "../support/faulty-proxy.js";
import { useFolder } from "../support/folder.js";
import { runFolderIn, startRun } from "../support/run.js";

describe("a run that writes through a server", function () {
  this.timeout(3 * 60_000);
  const folder = useFolder();
  const open = useFaultyProxies();
  const concurrency = 4;

  async function specFor(server: ChatServer): Promise<string> {
    const spec = {
      extends: join(packageRoot, "test", "e2e", "specs", "quick.json"),
      name: "served",
      llm: { plugin: "openai", options: { baseUrl: server.baseUrl, model: "m", concurrency, attempts: 2, firstWait: 0.01 } },
      sampling: { plugin: "best-worst", options: { maxTokens: 24 } },
      arms: ["id-only", "llm"],
    };
    await fs.writeFile(folder("spec.json"), JSON.stringify(spec));
    return folder("spec.json");
  }
  const prompts = (server: ChatServer) => server.asked.map(({ messages }) => messages.map(({ content }) => content).join());
  const textsIn = async (at: string) => fs.readFile(join(await runFolderIn(at), "texts", "llm-0.jsonl"), "utf8");

  it("asks each prompt once, and after kill -9 only those that were not answered", async () => {
    const server = new ChatServer(await open());
    const spec = await specFor(server);
    const whole = await startRun(spec, folder("whole")).finished;
    assert.equal(whole.status, 0, whole.stderr);
    const all = prompts(server);
    assert.equal(new Set(all).size, all.length);
    assert.equal(all.length, 40);

    server.asked.length = 0;
    server.delay = 40;
    const { process: child, finished } = startRun(spec, folder("killed"));
    while (server.asked.length < 20) await new Promise((resolve) => setTimeout(resolve, 5));
    child.kill("SIGKILL");
    await finished;
    const before = prompts(server);
    server.asked.length = 0;
    server.delay = 0;
    const rest = await startRun(spec, folder("killed")).finished;
    assert.equal(rest.status, 0, rest.stderr);
    const after = prompts(server);
    assert.ok(before.length + after.length <= all.length + concurrency, `${before.length} and ${after.length} of ${all.length} were asked`);
    assert.deepEqual([...new Set([...before, ...after])].sort(), [...all].sort());
    assert.equal(await textsIn(folder("killed")), await textsIn(folder("whole")));
  });

  it("ends with a coded error when the server fails for good, keeps what was answered, and goes on from there", async () => {
    const server = new ChatServer(await open());
    const spec = await specFor(server);
    server.misbehave = (k) => (k >= 25 ? json({ error: { message: "out of memory" } }, 500) : null);
    const failed = await startRun(spec, folder("work")).finished;
    assert.equal(failed.status, 1);
    assert.match(failed.stderr, /^RLRF_LLM_HTTP_UNREACHABLE: .*500 out of memory[\s\S]*where .*\/v1\/chat\/completions[\s\S]*to do /m);
    assert.doesNotMatch(failed.stderr, /\n\s+at /);
    server.asked.length = 0;
    server.misbehave = () => null;
    const mended = await startRun(spec, folder("work")).finished;
    assert.equal(mended.status, 0, mended.stderr);
    assert.equal(server.asked.length, 15);
  });

  it("ends cleanly on Ctrl-C while the server is silent", async () => {
    const server = new ChatServer(await open());
    server.misbehave = () => "hang";
    const { process: child, finished } = startRun(await specFor(server), folder("work"));
    while (server.asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    child.kill("SIGINT");
    const { status, stderr } = await finished;
    assert.equal(status, 130, stderr);
    assert.doesNotMatch(stderr, /\n\s+at /);
  });
});
