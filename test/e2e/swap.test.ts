/**
 * Every spec of experiments/losses, encoders and rerankers, at a small size on synthetic data: killed in the middle, gone on with, and run
 * again undisturbed. They share one engine and one store, so that what they have in common is computed once.
 */
import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import type { TuningStep } from "../../framework/contracts/tuner.js";
import { pluginKinds } from "../../framework/contracts/kinds.js";
import { Registry } from "../../framework/kernel/registry.js";
import type { FitReport } from "../../framework/method/fit.js";
import type { Result } from "../../framework/method/result.js";
import { packageRoot } from "../../framework/setup/paths.js";
import { readSpec } from "../../framework/spec/read.js";
import { resolveSpec } from "../../framework/spec/resolve.js";
import type { Spec } from "../../framework/spec/types.js";
import { readJson, readJsonLines } from "../../framework/store/files.js";
import { useEngine } from "../support/engine.js";
import { runHere } from "../support/run-here.js";

const experiments = join(packageRoot, "experiments");
const registry = await Registry.read();

/** What makes a spec small; nothing here is the part that it swaps. */
const small = [
  'dataset={"plugin":"synthetic","options":{"users":40,"items":90,"interactions":[20,24]}}',
  "protocol.window=8",
  "protocol.history=10",
  'protocol.metrics=["ndcg@5"]',
  'textEncoder={"plugin":"hashing","options":{"width":32}}',
];
/** A loss is tuned with; the parts of the recommender are the cheapest. */
const oneTuning = [
  "encoder.plugin=none",
  'reranker={"plugin":"pointwise","options":{"epochs":1,"batchSize":64}}',
  'llm.options={"hidden":32,"layers":1,"heads":2,"kvHeads":1,"intermediate":64,"vocabulary":512,"dialogues":3000,"epochs":2}',
  "sampling.options.samples=4",
  "sampling.options.maxTokens=24",
  "alignment.iterations=1",
  "alignment.epochs=4",
  "alignment.learningRate=0.005",
  "alignment.schedule=constant",
  "alignment.rise=0",
  "alignment.structure=off",
  "alignment.accept=always",
  "alignment.warmup=null",
  'arms=["id-only","metadata","llm","swapped"]',
];
/** An encoder or a reranker is fitted; the LLM, which does not know of it, stays away. */
const oneFit = [
  ...["llm", "reward", "sampling", "loss", "tuner", "alignment"].map((section) => `${section}=null`),
  'arms=["id-only","metadata","swapped"]',
];
const fewUnits: Readonly<Record<string, readonly string[]>> = {
  gru4rec: ["embedding=8", "hidden=8"],
  narm: ["embedding=8", "hidden=8"],
};

/** Of the spec of `kind` and `name`. */
function smallChanges(kind: "loss" | "encoder" | "reranker", name: string): readonly string[] {
  if (kind === "loss") return [...small, ...oneTuning];
  if (kind === "reranker")
    return [
      ...small,
      ...oneFit,
      "encoder.plugin=none",
      ...["epochs=4", "batchSize=32", "learningRate=0.01"].map((set) => `reranker.options.${set}`),
    ];
  const fit = name === "none" ? [] : [...(fewUnits[name] ?? ["hidden=8"]), "epochs=3", "batchSize=8", "learningRate=0.01"];
  return [...small, ...oneFit, 'reranker={"plugin":"pointwise","options":{"epochs":3,"batchSize":32,"learningRate":0.01}}', ...fit.map((set) => `encoder.options.${set}`)]; // biome-ignore format: one line
}

describe("the quickstart with another part", function () {
  this.timeout(300_000);
  useEngine();
  let folder = "";
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "rlrf-swap-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  async function smallSpec(kind: "loss" | "encoder" | "reranker", name: string): Promise<Spec> {
    const file = join(experiments, pluginKinds[kind].folder, `${name}.json`);
    return resolveSpec(await readSpec(file, smallChanges(kind, name)), registry).spec;
  }

  const stepFolders = async (step: string) => {
    const parent = join(folder, "store", "steps", step);
    return (await readdir(parent).catch(() => [])).map((name) => join(parent, name));
  };
  const forget = (steps: readonly string[]) =>
    Promise.all(steps.map((step) => rm(join(folder, "store", "steps", step), { recursive: true, force: true })));

  /** Runs in a folder of its own below `runs`; nothing may stay on the engine. @param killAt which of the advances of which progress ends it */
  async function run(spec: Spec, runs: string, killAt?: { readonly label: string; readonly advance: number }) {
    const kill = new AbortController();
    let advances = 0;
    const onProgress = (label: string) => {
      if (label === killAt?.label && ++advances === killAt.advance) kill.abort(new Error("killed"));
    };
    const tensors = tf.memory().numTensors;
    const options = { registry, cache: join(folder, "store"), runs: join(folder, runs), signal: kill.signal, onProgress };
    const running = runHere(spec, options);
    const result = await (killAt === undefined ? running : assert.rejects(running, /killed/).then(() => null));
    assert.equal(tf.memory().numTensors, tensors, "tensors leaked");
    return result as Omit<Result, "seconds">;
  }

  /** Killed, gone on with, and once more undisturbed after the store has forgotten the steps that were killed: the same numbers, all finite. */
  async function survives(spec: Spec, killAt: { readonly label: string; readonly advance: number }, steps: readonly string[]) {
    await forget(steps);
    await run(spec, "killed", killAt);
    const resumed = await run(spec, "killed");
    await forget(steps);
    assert.deepEqual(await run(spec, "undisturbed"), resumed);
    const policies = spec.llm === undefined ? [] : ["llm-0", "llm-1"];
    assert.deepEqual(Object.keys(resumed.arms), ["id-only", "metadata", ...policies, "swapped"]);
    for (const [arm, metrics] of Object.entries(resumed.arms))
      for (const { mean, low, high } of Object.values(metrics)) assert.ok(low <= mean && mean <= high, `${arm}: ${mean} [${low}, ${high}]`);
  }

  /** Fits of the last run: each one's loss comes below its beginning. */
  async function fitsFall(step: "encoder" | "recommender"): Promise<number> {
    const reports = await Promise.all((await stepFolders(step)).map((path) => readJson(join(path, "report.json")) as Promise<FitReport>));
    const fitted = reports.filter(({ history }) => history !== undefined);
    for (const { history } of fitted) {
      const [first, ...later] = history.map(({ loss }) => loss);
      assert.ok(Math.min(...later) < (first as number), `${step}: ${first}, ${later}`);
    }
    return fitted.length;
  }

  for (const { name } of registry.list("loss"))
    it(`losses/${name}`, async () => {
      await survives(await smallSpec("loss", name), { label: "iteration-1", advance: 5 }, ["tune"]);
      const [tuned, ...others] = await stepFolders("tune");
      assert.ok(tuned !== undefined && others.length === 0);
      const steps = await readJsonLines<TuningStep>(join(tuned, "steps.jsonl"));
      const epoch = (number: number) => {
        const own = steps.slice((number * steps.length) / 4, ((number + 1) * steps.length) / 4);
        return own.reduce((sum, { loss }) => sum + loss / own.length, 0);
      };
      assert.ok(steps.every(({ gradNorm }) => (gradNorm as number) > 0), "no gradient arrives"); // biome-ignore format: one line
      assert.ok(epoch(3) < epoch(0), `${[0, 1, 2, 3].map(epoch)}`);
    });

  for (const { name } of registry.list("encoder"))
    it(`encoders/${name}`, async () => {
      const label = name === "none" ? "recommender" : "sequence encoder";
      await survives(await smallSpec("encoder", name), { label, advance: 2 }, ["encoder", "recommender", "scores"]);
      assert.equal((await fitsFall("encoder")) > 0, name !== "none");
      assert.ok((await fitsFall("recommender")) > 0);
    });

  for (const { name } of registry.list("reranker"))
    it(`rerankers/${name}`, async () => {
      await survives(await smallSpec("reranker", name), { label: "recommender", advance: 5 }, ["encoder", "recommender", "scores"]);
      assert.ok((await fitsFall("recommender")) > 0);
    });

  it("is there for every plugin of these kinds, and differs from the quickstart in nothing else", async () => {
    const quickstart = resolveSpec(await readSpec(join(experiments, "quickstart.json")), registry).spec;
    for (const kind of ["loss", "encoder", "reranker"] as const) {
      const { folder: of, section } = pluginKinds[kind];
      const names = (await readdir(join(experiments, of))).map((file) => file.replace(/\.json$/, ""));
      assert.deepEqual(names.sort(), registry.list(kind).map(({ name }) => name).sort()); // biome-ignore format: one line
      for (const name of names) {
        const { spec } = resolveSpec(await readSpec(join(experiments, of, `${name}.json`)), registry);
        assert.equal(spec[section]?.plugin, name);
        const besides = kind === "loss" ? { sampling: quickstart.sampling } : {};
        assert.deepEqual({ ...spec, ...besides, [section]: quickstart[section], name: quickstart.name }, quickstart, `${of}/${name}`);
      }
    }
  });
});
