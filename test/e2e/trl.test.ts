import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { readdirSync, readlinkSync } from "node:fs";
import fs from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as tf from "@tensorflow/tfjs-core";
import type { PreferenceLoss } from "../../framework/contracts/feedback.js";
import type { AlignmentExample, NamedLoss, Tuner, TuningStep, TuningTask } from "../../framework/contracts/tuner.js";
import type { PluginClass } from "../../framework/contracts/plugin.js";
import { RlrfError } from "../../framework/errors.js";
import { loadPlugin } from "../../framework/kernel/load.js";
import { Registry } from "../../framework/kernel/registry.js";
import type { LanguageModel } from "../../framework/language-model/model.js";
import { createAssets } from "../../framework/setup/assets.js";
import { packageRoot } from "../../framework/setup/paths.js";
import { specFromValue } from "../../framework/spec/read.js";
import { resolveSpec } from "../../framework/spec/resolve.js";
import type { Json } from "../../framework/spec/json.js";
import { withPlugin } from "../../framework/testing/subject.js";
import { Dpo } from "../../plugins/losses/dpo.js";
import { Lora } from "../../plugins/tuners/lora.js";
import { Trl } from "../../plugins/tuners/trl.js";
import { lossesOfTrl } from "../../plugins/tuners/trl/losses.js";
import { testModel } from "../support/decoder.js";
import { useEngine } from "../support/engine.js";
import { fixtureManifest, tunedSpec } from "../support/fixtures.js";
import { assertFails } from "../support/faults.js";
import { useFolder } from "../support/folder.js";
import { trlPython } from "../support/python.js";
import { close } from "../support/tensors.js";

const lora = { rank: 3, alpha: 6, dropout: 0, targets: ["q_proj", "k_proj", "o_proj", "up_proj"] };
/** Every step sees every pair, so that the order of the examples does not matter. */
const settings = { epochs: 3, batchSize: 4, accumulate: 1, learningRate: 5e-3, weightDecay: 0.01, clip: 1, schedule: "cosine", rise: 0.5 } as const; // biome-ignore format: one line
const text = (content: string, ended = true) => ({ text: content, ended, reward: 0 });
const examples: readonly AlignmentExample[] = [
  { messages: [{ role: "user", content: "likes drama" }], chosen: text("Drama"), rejected: [text("Horror, Comedy", false)] },
  { messages: [{ role: "user", content: "likes horror, a lot" }], chosen: text("Genre: Horror"), rejected: [text("x")] },
  { messages: [{ role: "system", content: "short" }, { role: "user", content: "?" }], chosen: text("Comedy"), rejected: [text("y z\n…")] }, // biome-ignore format: one line
  { messages: [{ role: "user", content: "東京" }], chosen: text("Avoids: Drama"), rejected: [text("Drama")] },
];
const dialogues = examples.map(({ messages, chosen }) => ({ messages, completion: chosen.text }));

/** A policy that has been tuned already: its adapter is not that of the base model. */
function tunedPolicy(): { readonly policy: LanguageModel; dispose(): void } {
  const { model, dispose } = testModel();
  model.attach(lora, 1);
  for (const [i, variable] of model.trainable().entries())
    tf.tidy(() => variable.assign(tf.randomNormal(variable.shape, 0, 0.2, "float32", 3 + i)));
  return { policy: model, dispose };
}

describe("TRL as a tuner", function () {
  this.timeout(15 * 60_000); // the environment may have to be made
  useEngine();
  const folder = useFolder();
  const trl = (options: object = {}) =>
    new Trl({ run: "here", dtype: "float32", gradientCheckpointing: false, accelerate: null, ...options }, createAssets());

  /** What a tuner makes of a task: the loss of every step, and the adapter. */
  async function outcome(tuner: Tuner, name: string, run: (tuner: Tuner, task: TuningTask) => Promise<void>) {
    const { policy, dispose } = tunedPolicy();
    const steps: TuningStep[] = [];
    const own = folder(name);
    await fs.mkdir(own, { recursive: true });
    try {
      const onStep = (step: TuningStep) => void steps.push(step);
      await run(tuner, { policy, lora, settings, seed: 1, key: name, folder: own, shared: folder(), onStep });
      return { steps, adapter: await policy.adapter() };
    } finally {
      dispose();
    }
  }

  type Outcome = Awaited<ReturnType<typeof outcome>>;
  function same(theirs: Outcome, ours: Outcome, what: string): void {
    assert.equal(theirs.steps.length, ours.steps.length, what);
    for (const [i, step] of ours.steps.entries()) {
      const other = theirs.steps[i] as TuningStep;
      for (const figure of ["loss", "learningRate", "gradNorm"] as const)
        close([other[figure] as number], [step[figure] as number], figure === "gradNorm" ? 2e-3 : 1e-4);
    }
    for (const [name, { values }] of Object.entries(ours.adapter))
      close((theirs.adapter[name] as { values: Float32Array }).values, values, 2e-3);
  }

  const dpo: NamedLoss = { plugin: "dpo", options: { beta: 0.1, labelSmoothing: 0 }, loss: new Dpo({ beta: 0.1, labelSmoothing: 0 }) };

  it("takes the same steps as `lora` in the warm-up: losses, learning rates, adapter", async () => {
    const run = (tuner: Tuner, task: TuningTask) => tuner.supervise(task, dialogues);
    const theirs = await outcome(trl(), "warm-up", run);
    same(theirs, await outcome(new Lora(), "warm-up-lora", run), "warm-up");
    assert.ok((theirs.steps.at(-1)?.loss as number) < (theirs.steps[0]?.loss as number));
  });

  it("takes the same steps as two processes that accelerate starts, which share the batches", async () => {
    const config = folder("two.yaml");
    await fs.writeFile(config, "distributed_type: MULTI_GPU\nnum_processes: 2\nnum_machines: 1\nmixed_precision: 'no'\n");
    const shared = { ...settings, batchSize: 2, accumulate: 2 };
    const run = (tuner: Tuner, task: TuningTask) => tuner.align({ ...task, settings: shared }, examples, dpo);
    same(await outcome(trl({ accelerate: config }), "two-processes", run), await outcome(new Lora(), "one-process", run), "two processes");
    const uneven = (tuner: Tuner, task: TuningTask) => tuner.align({ ...task, settings: { ...shared, accumulate: 3 } }, examples, dpo);
    await assertFails(
      "RLRF_SPEC_CONFLICT",
      () => outcome(trl({ accelerate: config }), "uneven", uneven),
      /accumulate is 3: no multiple of the 2/,
    );
    await assertFails("RLRF_FILE_MISSING", () => trl({ accelerate: folder("none.yaml") }).prepare(), /config of accelerate/);
  });

  it("has every loss that it says it has: the losses of losses.md, step by step", async () => {
    const losses = await namedLosses();
    const ours = new Map<string, Outcome>();
    for (const [name, loss] of losses) {
      const run = (tuner: Tuner, task: TuningTask) => tuner.align(task, examples, loss);
      ours.set(name, await outcome(new Lora(), `${name}-lora`, run));
      await assert.rejects(outcome(trl({ run: "elsewhere" }), name, run), waiting);
    }
    assert.deepEqual(new Set(variants.map(([name]) => name)), new Set(Object.keys(lossesOfTrl)));
    // In one process; elsewhere each would be a process of its own.
    const script = join(packageRoot, "test", "golden", "trl_tasks.py");
    execFileSync(await trlPython(), [script, ...[...losses.keys()].map((name) => folder(name))], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    for (const [name, loss] of losses) {
      const theirs = await outcome(trl({ run: "elsewhere" }), name, (tuner, task) => tuner.align(task, examples, loss));
      same(theirs, ours.get(name) as Outcome, name);
      assert.ok((theirs.steps.at(-1)?.loss as number) < (theirs.steps[0]?.loss as number), `the loss of ${name} falls`);
    }
  });

  it("waits for an adapter from elsewhere, says what to run where, and takes no other than the one of this task", async () => {
    const run = (tuner: Tuner, task: TuningTask) => tuner.align(task, examples, dpo);
    await assert.rejects(outcome(trl({ run: "elsewhere" }), "iteration-1", run), (error) => {
      assert.ok(waiting(error));
      assert.match(
        (error as Error).message,
        /iteration-1 waits[\s\S]*pip install -r requirements\.txt && python tune\.py[\s\S]*iteration-1\/adapter/,
      );
      return true;
    });
    const names = ["adapter", "arguments.json", "examples.jsonl", "requirements.txt", "start", "tune.py"];
    assert.deepEqual((await fs.readdir(folder("iteration-1"))).sort(), names.slice(1));
    assert.match(await fs.readFile(folder("iteration-1", "requirements.txt"), "utf8"), /^torch==.*\n(.*\n)*trl==/);
    await fs.access(folder("model", "tokenizer.json"));
    const [first] = (await fs.readFile(folder("iteration-1", "examples.jsonl"), "utf8")).split("\n");
    const { prompt, chosen, rejected } = JSON.parse(first as string) as Record<string, unknown>;
    const said = (content: string) => [{ role: "assistant", content }];
    assert.deepEqual([prompt, chosen, rejected], [examples[0]?.messages, said("Drama"), said("Horror, Comedy")]);
    // An adapter that is none of this task: of other examples, or by hand.
    await fs.cp(folder("iteration-1", "start"), folder("iteration-1", "adapter"), { recursive: true });
    await assert.rejects(outcome(trl({ run: "elsewhere" }), "iteration-1", run), waiting);
    await fs.writeFile(folder("iteration-1", "adapter", "task.json"), JSON.stringify({ task: "another" }));
    await assert.rejects(
      outcome(trl({ run: "elsewhere" }), "iteration-1", run),
      (error) => waiting(error) && /other examples/.test(String(error)),
    );
    await fs.access(folder("iteration-1", "adapter", "adapter.gguf")); // what lies there is the user's
  });

  it("ends when the process that runs it is killed: the next one tunes in the same folder", async () => {
    const run = (tuner: Tuner, task: TuningTask) => tuner.align(task, examples, dpo);
    const name = "orphaned";
    await assert.rejects(outcome(trl({ run: "elsewhere" }), name, run), waiting); // everything that the program needs
    const caller = `
      const { runCommand } = await import(${JSON.stringify(join(packageRoot, "dist", "framework", "setup", "command.js"))});
      const options = { cwd: ${JSON.stringify(folder(name))}, limit: 600_000, purpose: "tune", attached: true };
      await runCommand(${JSON.stringify(await trlPython())}, ["tune.py"], options);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", caller], { stdio: ["ignore", "ignore", "inherit"] });
    while (processesIn(folder(name)).length === 0) await sleep(20);
    child.kill("SIGKILL");
    for (const deadline = Date.now() + 20_000; processesIn(folder(name)).length > 0 && Date.now() < deadline; ) await sleep(20);
    assert.deepEqual(processesIn(folder(name)), []);
  });

  it("goes on from its checkpoint after a kill, and names the step at which it diverges", async () => {
    const run = (changes: Partial<TuningTask>) => (tuner: Tuner, task: TuningTask) =>
      tuner.align({ ...task, settings: { ...settings, epochs: 100 }, ...changes }, examples, dpo);
    const kill = new AbortController();
    let last = 0;
    const onStep = ({ step }: TuningStep) => {
      last = step;
      if (step === 30) kill.abort(new Error("enough"));
    };
    await assert.rejects(outcome(trl(), "killed", run({ onStep, signal: kill.signal })), /enough/);
    const checkpoint = (await fs.readdir(folder("killed", "checkpoints"))).find((name) => name.startsWith("checkpoint-"));
    assert.ok(last < 99 && Number(checkpoint?.split("-")[1]) >= last, `${checkpoint} at step ${last}`);
    const { steps } = await outcome(trl(), "killed", run({}));
    assert.deepEqual(steps.map(({ step }) => step), Array.from({ length: 100 }, (_, i) => i)); // biome-ignore format: one line
    await assert.rejects(
      outcome(trl(), "diverged", run({ settings: { ...settings, learningRate: 1e30, clip: 0, rise: 0 } })),
      (error) => error instanceof RlrfError && error.code === "RLRF_ALIGN_NAN" && /step [1-3]\b/.test(error.message),
    );
  });
});

describe("a spec with the tuner trl", () => {
  it("is refused by name where TRL lacks the loss, or has it only with other options", async () => {
    const registry = await Registry.read([join(packageRoot, "registry", "plugins.json"), await fixtureManifest()]);
    const faults = (loss: Json) => {
      try {
        resolveSpec(specFromValue({ ...tunedSpec(), tuner: { plugin: "trl" }, loss }), registry);
        return "";
      } catch (error) {
        return (error as Error).message;
      }
    };
    assert.equal(faults({ plugin: "dpo" }), "");
    assert.match(
      faults({ plugin: "@fixture/margin" }),
      /RLRF_SPEC_CONFLICT: the tuner "trl" does not work with the loss "@fixture\/margin"[\s\S]*one of: dpo, hinge, ipo/,
    );
    assert.match(
      faults({ plugin: "dpo", options: { labelSmoothing: 0.1 } }),
      /RLRF_SPEC_CONFLICT: [\s\S]*labelSmoothing[\s\S]*expected .*0/,
    );
  });
});

/** Of programs that run in a folder. */
function processesIn(folder: string): readonly number[] {
  return readdirSync("/proc").flatMap((pid) => {
    try {
      return /^\d+$/.test(pid) && readlinkSync(`/proc/${pid}/cwd`) === folder ? [Number(pid)] : [];
    } catch {
      return []; // it has ended
    }
  });
}

function waiting(error: unknown): boolean {
  return error instanceof RlrfError && error.code === "RLRF_TUNER_ELSEWHERE";
}

const beta = 0.3;
const labelSmoothing = 0.1;

/** Every loss that TRL has, with options of which none is left out. */
const variants: readonly (readonly [loss: string, options: Readonly<Record<string, unknown>>])[] = [
  ["dpo", { beta, labelSmoothing: 0 }],
  ["hinge", { beta, reference: true }],
  ["ipo", { beta, normalise: true }],
  ["robust-dpo", { beta, labelSmoothing }],
  ["exo", { beta, labelSmoothing }],
  ["nca", { beta }],
  ["bco", { beta, shift: false }],
  ["sppo", { beta }],
  ["aot", { beta, labelSmoothing, unpaired: false }],
  ["aot", { beta, labelSmoothing, unpaired: true }],
  ["apo-zero", { beta }],
  ["apo-down", { beta }],
  ["discopop", { beta, temperature: 0.05 }],
  ["f-dpo", { beta, divergence: "forward-kl", alpha: 0.5 }],
  ["f-dpo", { beta, divergence: "js", alpha: 0.5 }],
  ["f-dpo", { beta, divergence: "alpha", alpha: 0.4 }],
  ["dpo-norm", { beta }],
  ["cpo", { beta, labelSmoothing, alpha: 0, normalise: true, each: "text" }],
  ["simpo", { beta, gamma: 0.4 }],
  ["alphapo", { beta, gamma: 0.4, alpha: 0.2 }],
  ["sft", { each: "text" }],
];

/** Built as a run would. */
async function namedLosses(): Promise<ReadonlyMap<string, NamedLoss>> {
  const registry = await Registry.read([join(packageRoot, "registry", "plugins.json")]);
  const losses = variants.map(async ([name, options], i) => {
    const entry = registry.find("loss", name);
    assert.deepEqual(
      Object.keys(options).sort(),
      Object.keys(entry.options?.properties ?? {}).sort(),
      `options of ${name} that are left out`,
    );
    const plugin = (await loadPlugin(entry)) as PluginClass<PreferenceLoss>;
    return [`${name}-${i}`, { plugin: name, options, loss: await withPlugin({ plugin, options }, (loss) => loss) }] as const;
  });
  return new Map(await Promise.all(losses));
}
