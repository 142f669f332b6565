/** A run that tunes tiny here and samples with llama.cpp, on tiny's own weights and with its adapters. */
import assert from "node:assert/strict";
import fs from "node:fs/promises";
import { join } from "node:path";
import { packageRoot } from "../../framework/setup/paths.js";
import { writeGguf } from "../support/checkpoint.js";
import { useFolder } from "../support/folder.js";
import { installLlamaCpp } from "../support/llama-cpp.js";
import { numbersOf, runFolderIn, startRun } from "../support/run.js";

describe("a run that samples with llama.cpp what is tuned here", function () {
  this.timeout(10 * 60_000);
  const folder = useFolder();
  before(installLlamaCpp);

  /** Steps so small that no text changes: every iteration is rejected. */
  const still = { iterations: 2, learningRate: 1e-7, accept: "if-better" };

  async function specWith(sampler: object | null): Promise<string> {
    const spec = {
      extends: join(packageRoot, "test", "e2e", "specs", "tuned.json"),
      name: "sampled",
      llm: { options: { dialogues: 400 }, sampler },
      alignment: still,
    };
    await fs.writeFile(folder("spec.json"), JSON.stringify(spec));
    return folder("spec.json");
  }
  const llamaCpp = { plugin: "llama-cpp", options: { model: null, device: "cpu", sequences: 8 } };
  const greedyTexts = async (at: string) =>
    (await fs.readFile(join(await runFolderIn(at), "texts", "llm-0.jsonl"), "utf8")).trim().split("\n");

  it("writes with the base, the warmed-up and the tuned policy, and goes back from what was rejected", async () => {
    const spec = await specWith(llamaCpp);
    const { status, stderr } = await startRun(spec, folder("run")).finished;
    assert.equal(status, 0, stderr);
    const shown = [
      ...stderr.matchAll(/^llama-cpp writes as tiny would(?: with the adapter \S*\/(\S+))?: (\d+) tokens alike, .* ([\d.]+) nats/gm),
    ];
    assert.deepEqual(
      shown.map(([, adapter]) => adapter),
      [undefined, "warm-up", "iteration-1", "warm-up", "iteration-2", "warm-up"],
    );
    for (const [, , , difference] of shown) assert.ok(Number(difference) < 0.01, stderr);
    assert.equal(stderr.match(/RLRF_ALIGN_REJECTED/g)?.length, 2);

    const before = await numbersOf(folder("run"));
    const again = await startRun(spec, folder("run")).finished;
    assert.equal(again.status, 0, again.stderr);
    assert.doesNotMatch(again.stderr, /^texts: /m, "every text is found where it was kept");
    assert.deepEqual(await numbersOf(folder("run")), before);

    const own = await startRun(await specWith(null), folder("own"), "--set", "alignment=null", "--set", "loss=null", "--set", "tuner=null", "--set", "reward=null").finished; // biome-ignore format: one line
    assert.equal(own.status, 0, own.stderr);
    const [sampled, expected] = [await greedyTexts(folder("run")), await greedyTexts(folder("own"))];
    const alike = sampled.filter((text, i) => text === expected[i]).length;
    assert.ok(alike >= 0.9 * expected.length, `${alike} of ${expected.length} greedy texts are tiny's own`);
  });

  it("ends before it writes anything where the sampler is another model", async () => {
    const spec = await specWith({ plugin: "llama-cpp", options: { ...llamaCpp.options, model: writeGguf(folder("other.gguf")) } });
    const { status, stderr } = await startRun(spec, folder("run")).finished;
    assert.equal(status, 2, stderr);
    assert.match(
      stderr,
      /^RLRF_LLM_SAMPLER: the sampler llama-cpp is not the model that tiny is: from token \d+[\s\S]*where +\/llm\/sampler/m,
    );
    assert.doesNotMatch(stderr, /^texts: /m);
  });
});
