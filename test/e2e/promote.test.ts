/** Which recommender of a run becomes a model, and what is refused. */
import assert from "node:assert/strict";
import fs from "node:fs/promises";
import { join } from "node:path";
import { Registry } from "../../framework/kernel/registry.js";
import { mustScoreAsPromoted } from "../../framework/serving/agreement.js";
import { openModel } from "../../framework/serving/model.js";
import { promote as promoteModel, type Promoted } from "../../framework/serving/promote.js";
import { readEndedRun, type Wish } from "../../framework/serving/run.js";
import { ServedModel } from "../../framework/serving/served-model.js";
import { packageRoot } from "../../framework/setup/paths.js";
import { writeJson } from "../../framework/store/files.js";
import { Store } from "../../framework/store/store.js";
import { startEngine } from "../../framework/tensor/engine.js";
import { assertFails } from "../support/faults.js";
import { silent, temporaryFolder } from "../support/fixtures.js";
import { promote, ranIn, servedRun } from "../support/served.js";

async function promoted(run: string, folder: string, wish: Wish): Promise<Promoted> {
  const registry = await Registry.read();
  const ended = await readEndedRun(run, registry);
  const services = { ...silent, engine: await startEngine(ended.spec.engine), store: new Store(join(folder, "store"), silent.logger) };
  const model = await fs.mkdtemp(join(folder, "model-"));
  return promoteModel(ended, "shown", wish, model, { registry, services, signal: new AbortController().signal });
}

async function load(folder: string): Promise<ServedModel> {
  const services = { ...silent, engine: await startEngine(), store: new Store(join(folder, "unused"), silent.logger) };
  return ServedModel.load(await openModel(folder), await Registry.read(), services);
}

describe("rlrf promote", function () {
  this.timeout(10 * 60_000);

  it("takes each arm that can be served, of any seed or of all of them, and each scores as in the run", async () => {
    const { folder, run } = await servedRun();
    const wishes: [Wish, string, number[]][] = [
      [{}, "llm-1", [1]],
      [{ arm: "metadata", seed: 2 }, "metadata", [2]],
      [{ arm: "item-only" }, "item-only", [1]],
      [{ arm: "id-only" }, "id-only", [1]],
      [{ arm: "llm-0", seed: "all" }, "llm-0", [1, 2]],
      [{ arm: "llm-warm" }, "llm-warm", [1]],
    ];
    for (const [wish, arm, seeds] of wishes) {
      const { model, agreement } = await promoted(run, folder, wish);
      assert.deepEqual([model.description.arm, model.description.seeds, model.description.users], [arm, seeds, "split"]);
      assert.ok((agreement?.lists ?? 0) > 30 && (agreement?.largest ?? 1) < 1e-5, `${arm}: ${agreement?.largest}`);
      assert.equal(model.file("texts.jsonl") === null, ["item-only", "id-only"].includes(arm));
      assert.equal(model.file("llm/weights.safetensors") === null, !arm.startsWith("llm"));
      assert.equal(model.description.llm?.adapter ?? null, ["llm-1", "llm-warm"].includes(arm) ? "adapter" : null);
      const served = await load(model.folder);
      assert.ok((await mustScoreAsPromoted(served)).largest < 1e-5);
      await served.dispose();
    }
  });

  it("gives the same model twice, and the figures of its own recommender beside the run's", async () => {
    const { folder, run } = await servedRun();
    const [first, second] = [await promoted(run, folder, {}), await promoted(run, folder, {})];
    assert.equal(first.model.digest, second.model.digest);
    const { seeds, arms } = JSON.parse(await fs.readFile(join(run, "result.json"), "utf8")) as {
      seeds: number[];
      arms: Record<string, object>;
    };
    const { figures } = first.model.description;
    assert.deepEqual(figures.arms, arms);
    const bySeed = await Promise.all(seeds.map(async (seed) => (await promoted(run, folder, { seed })).model.description.figures.model));
    const mean = bySeed.reduce((sum, own) => sum + (own?.["ndcg@5"] ?? Number.NaN) / seeds.length, 0);
    assert.ok(Math.abs(mean - (figures.arms["llm-1"]?.["ndcg@5"]?.mean ?? 0)) < 1e-9);
  });

  it("fits anew on everybody under folds, or takes the recommender of one fold, which scores as it did", async () => {
    const folder = await temporaryFolder();
    const spec = join(folder, "folds.json");
    await writeJson(spec, {
      extends: join(packageRoot, "test", "e2e", "specs", "small.json"),
      ...{ name: "folds", seeds: [1], llm: null, reward: null, sampling: null, loss: null, tuner: null, alignment: null },
      ...{ arms: ["item-only", "metadata"], protocol: { folds: 3, align: 0, window: 8, history: 10, metrics: ["ndcg@5"] } },
    });
    const run = await ranIn(folder, spec);
    const refit = await promoted(run, folder, {});
    assert.deepEqual([refit.model.description.users, refit.agreement, refit.model.description.figures.model], ["refit", null, null]);
    const fold = await promoted(run, folder, { users: 2 });
    assert.ok((fold.agreement?.lists ?? 0) > 10 && (fold.agreement?.largest ?? 1) < 1e-5);
    assert.notEqual(fold.model.description.files["recommenders/1.safetensors"]?.sha256, refit.model.description.files["recommenders/1.safetensors"]?.sha256); // biome-ignore format: one line
    await assertFails("RLRF_PROMOTE_CHOICE", () => promoted(run, folder, { users: 3 }), /a fold from 0 to 2, or refit/);
    await assertFails("RLRF_PROMOTE_CHOICE", () => promoted(run, folder, { users: "split" }));
    await fs.rm(folder, { recursive: true });
  });

  it("refuses what the run does not have, and what has changed since", async () => {
    const { folder, run } = await servedRun();
    await assertFails("RLRF_PROMOTE_CHOICE", () => promoted(run, folder, { arm: "swapped" }), /id-only, item-only, metadata, llm-0/);
    await assertFails("RLRF_PROMOTE_CHOICE", () => promoted(run, folder, { seed: 9 }), /1, 2, or all/);
    const copy = join(await temporaryFolder(), "copy");
    const copied = async (name: string, change: (text: string) => string) => {
      await fs.rm(copy, { recursive: true, force: true });
      await fs.cp(run, copy, { recursive: true });
      await fs.writeFile(join(copy, name), change(await fs.readFile(join(copy, name), "utf8")));
      return () => promoted(copy, folder, {});
    };
    await assertFails("RLRF_PROMOTE_RUN", await copied("spec.json", (text) => text.replace('"window": 8', '"window": 7')), /resolves to/);
    await assertFails(
      "RLRF_PROMOTE_RUN",
      await copied("lists.json", (text) => text.replace(/[0-9a-f]{64}/, "0".repeat(64))),
      /other lists/,
    );
    await assertFails("RLRF_PROMOTE_RUN", await copied("texts/llm-1.jsonl", (text) => text.replace(/^.*\n/, "")), /no text of user/);
    await assertFails("RLRF_PROMOTE_RUN", await copied("texts/llm-1.jsonl", (text) => `no\n${text}`), /: not JSON: [\s\S]*llm-1\.jsonl:1/);
    await assertFails("RLRF_MODEL_DIFFERS", await copied("scores/llm-1.jsonl", (text) => text.replace(/"scores":\[/, '"scores":[9')));
    await assertFails("RLRF_RESULT_FILE", await copied("result.json", () => "{}"));
    await assertFails("RLRF_JSON", await copied("result.json", (text) => text.replace("{", '{"__proto__": {},')), /__proto__/);
    await fs.rm(join(copy, ".."), { recursive: true });
  });

  it("says what is wrong with a command, and leaves nothing behind", async () => {
    const { folder } = await servedRun();
    const fails = async (pattern: RegExp, ...options: string[]) => {
      const { status, stderr } = await promote(folder, ...options);
      assert.equal(status, 2, stderr);
      assert.match(stderr, pattern);
      assert.doesNotMatch(stderr, /\n\s+at /);
    };
    const before = (await fs.readdir(folder)).sort();
    await fails(/RLRF_PROMOTE_TARGET: nothing says where/);
    await fails(/RLRF_PROMOTE_TARGET: there is something already/, "--out", folder);
    await fails(/RLRF_PROMOTE_CHOICE: the run has no recommender of the arm "best"/, "--out", join(folder, "none"), "--arm", "best");
    await fails(/RLRF_USAGE: .*--seed/, "--out", join(folder, "none"), "--seed", "first");
    assert.deepEqual((await fs.readdir(folder)).sort(), before);
  });
});
