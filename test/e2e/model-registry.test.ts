/** A run is promoted into a real MLflow's model registry, and served from there. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import fs from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { hashFile } from "../../framework/store/hash.js";
import { home, packageRoot } from "../../framework/setup/paths.js";
import { MlflowClient } from "../../framework/track/mlflow.js";
import { mlflowPython } from "../../framework/track/server.js";
import type { RerankResponse } from "../../framework/serving/messages.js";
import type { ModelVersion } from "../../framework/track/model-registry.js";
import { temporaryFolder } from "../support/fixtures.js";
import { useMlflow } from "../support/mlflow.js";
import { command, start } from "../support/run.js";
import { ask, evaluatedLists, promote, serve, servedRun } from "../support/served.js";
import { blocksOf, commandsOf, runCommands, writeBlocks } from "../support/walk.js";

interface SeenVersion {
  readonly version: string;
  readonly run: string;
  readonly aliases: readonly string[];
  readonly tags: Readonly<Record<string, string>>;
  readonly flavors: readonly string[];
  readonly files: Readonly<Record<string, string>>;
}

describe("MLflow's model registry", function () {
  this.timeout(10 * 60_000);
  const server = useMlflow();
  let digest = "";

  async function registered(name: string): Promise<readonly ModelVersion[]> {
    const client = new MlflowClient(server.uri);
    try {
      return await client.models.versions(name);
    } finally {
      client.close();
    }
  }

  after(() => fs.rm(join(home(), "models", digest), { recursive: true, force: true }));

  it("gets a version with the arms' figures as tags and every file whole; the same model is not registered twice", async () => {
    const { folder, run } = await servedRun();
    const first = await promote(folder, "--to", server.uri, "--alias", "champion", "--json");
    assert.equal(first.status, 0, first.stderr);
    const { registered, ...told } = JSON.parse(first.stdout) as { digest: string; registered: { version: string; found: boolean } };
    digest = told.digest;
    assert.deepEqual(registered, { name: "shown", version: "1", found: false });
    const again = await promote(folder, "--to", server.uri);
    assert.match(again.stdout, /shown version 1, which was there/, again.stderr);

    const script = join(packageRoot, "test", "support", "mlflow_model.py");
    const { stdout } = await promisify(execFile)(await mlflowPython(), [script, server.uri, "shown", "champion"]);
    const seen = JSON.parse(stdout.trim().split("\n").at(-1) as string) as SeenVersion;
    assert.deepEqual([seen.version, seen.aliases, seen.flavors, seen.tags["rlrf.digest"]], ["1", ["champion"], ["rlrf4rec"], digest]);
    const result = JSON.parse(await fs.readFile(join(run, "result.json"), "utf8")) as {
      specHash: string;
      arms: Record<string, Record<string, { mean: number }>>;
    };
    assert.equal(seen.tags["rlrf.specHash"], result.specHash);
    for (const [arm, metrics] of Object.entries(result.arms))
      for (const [metric, { mean }] of Object.entries(metrics))
        assert.equal(Number(seen.tags[`arm.${arm}.${metric.replace("@", "_at_")}`]), mean, `${arm} ${metric}`);
    const [tracked] = (await server.read("small")).filter((mlflowRun) => mlflowRun.id === seen.run);
    assert.ok(tracked?.name === "served" && tracked.artifacts[`models/${digest.slice(0, 16)}/model.json`] === digest);
  });

  it("is used as docs/serving.md says, command by command", async () => {
    const blocks = blocksOf(await fs.readFile(join(packageRoot, "docs", "serving.md"), "utf8"));
    const folder = await temporaryFolder();
    await writeBlocks(blocks, folder);
    await fs.mkdir(join(folder, "node_modules", ".bin"), { recursive: true });
    await fs.symlink(command, join(folder, "node_modules", ".bin", "rlrf"));
    const commands = commandsOf(blocks);
    assert.ok(commands.length > 8);
    const { status, outputs, out, err } = await runCommands(commands, folder, { MLFLOW_TRACKING_URI: server.uri, RLRF_HOME: home() });
    assert.equal(status, 0, `${commands[outputs.length - 1]?.line}\n${out}\n${err}`);
    for (const [i, { line, output }] of commands.entries()) if (output !== "") assert.equal(outputs[i], output, line);
    const { order } = JSON.parse(await fs.readFile(join(folder, "answer.json"), "utf8")) as RerankResponse;
    assert.deepEqual([...order].sort(), ["i10", "i20", "i30"]);
    const [version] = await registered("tastes");
    await fs.rm(join(home(), "models", version?.tags?.find(({ key }) => key === "rlrf.digest")?.value ?? "none"), { recursive: true });
    await fs.rm(folder, { recursive: true });
  });

  it("is served from: by version, by alias, fetched once; and what was changed there is refused", async () => {
    const { run } = await servedRun();
    const [list] = await evaluatedLists(run, "llm-1", 1);
    for (const name of ["models:/shown/1", "models:/shown/champion"]) {
      const served = await serve(name, "--from", server.uri, "--texts", "cache");
      const { body } = await ask(served.address, "/rerank", list?.request);
      assert.deepEqual(body.model, { name: "shown", version: "1", arm: "llm-1", digest });
      assert.ok(body.scores.every((score, i) => Math.abs(score - (list?.scores[i] as number)) < 1e-5));
      served.process.kill("SIGKILL");
      const { stderr } = await served.finished;
      assert.equal(/fetching version 1/.test(stderr), name === "models:/shown/1");
    }
    const kept = join(home(), "models", digest);
    assert.equal(await hashFile(join(kept, "model.json")), digest);
    await fs.rm(kept, { recursive: true });

    const [version] = await registered("shown");
    const client = new MlflowClient(server.uri);
    const found = await client.getRun(version?.run_id ?? "");
    assert.ok(found);
    await client.putArtifact(found, `models/${digest.slice(0, 16)}/items.jsonl`, Buffer.from("{}"));
    client.close();
    const refused = async (name: string, pattern: RegExp) => {
      const { status, stderr } = await start([process.execPath, command, "serve", name, "--from", server.uri, "--port", "0"]).finished;
      assert.equal(status, 2, stderr);
      assert.match(stderr, pattern);
    };
    await refused("models:/shown/1", /RLRF_MODEL_BROKEN: it has 2 bytes/);
    assert.deepEqual((await fs.readdir(join(home(), "models"))).filter((name) => name.startsWith(digest)), []); // biome-ignore format: one line
    await refused("models:/shown/2", /RLRF_MODEL_UNKNOWN: it has no version or alias "2"[\s\S]*one of its versions: 1/);
    await refused("models:/other/1", /RLRF_MODEL_UNKNOWN: no model is named "other"/);
  });
});
