/** Every loss through the runner: its gradient arrives at the adapter, it falls, and a killed tuning ends with the same numbers. */
import assert from "node:assert/strict";
import type { PreferenceLoss } from "../../../framework/contracts/feedback.js";
import type { PluginClass } from "../../../framework/contracts/plugin.js";
import type { AlignmentExample, TuningStep } from "../../../framework/contracts/tuner.js";
import { loadPlugin } from "../../../framework/kernel/load.js";
import { Registry } from "../../../framework/kernel/registry.js";
import { withPlugin } from "../../../framework/testing/index.js";
import { tuneOnPreferences } from "../../../framework/tuning/preference.js";
import type { Checkpoint, TrainingState } from "../../../framework/tuning/training-loop.js";
import { allProjections, testModel } from "../../support/decoder.js";
import { assertNoLeak, useEngine } from "../../support/engine.js";

const settings = { epochs: 6, batchSize: 4, accumulate: 1, learningRate: 1e-2, weightDecay: 0, clip: 1, schedule: "constant", rise: 0 } as const; // biome-ignore format: one line
const lora = { rank: 4, alpha: 8, dropout: 0, targets: allProjections };

function example(prompt: string, ...texts: string[]): AlignmentExample {
  const [chosen, ...rejected] = texts.map((text, i) => ({ text, ended: true, reward: 1 / (i + 1) }));
  assert.ok(chosen);
  return { messages: [{ role: "user", content: prompt }], chosen, rejected };
}
const pairs = [
  example("likes drama", "Drama", "Horror"),
  example("likes horror, a lot", "Horror", "Drama, Comedy"),
  example("comedy", "Comedy", "x"),
  example("drama and comedy", "Comedy, Drama", "Avoids: Drama"),
];
const lists = pairs.map(({ messages, chosen, rejected }, i) => ({
  messages,
  chosen,
  rejected: [...rejected, { text: `y ${i}`, ended: true, reward: 0.2 }],
}));

/** What a loss is not told by default, for so short a tuning. */
const options: Readonly<Record<string, object>> = {
  mix: { losses: [{ loss: { plugin: "dpo", options: { beta: 0.1 } } }, { loss: { plugin: "sft" }, weight: 0.1 }] },
  sppo: { beta: 0.1 },
};

describe("every loss, through the runner", () => {
  useEngine();
  const plugins = new Map<string, PluginClass<PreferenceLoss>>();
  before(async () => {
    for (const entry of (await Registry.read()).list("loss"))
      plugins.set(entry.name, (await loadPlugin(entry)) as PluginClass<PreferenceLoss>);
  });
  const using = (name: string, body: (loss: PreferenceLoss, examples: readonly AlignmentExample[]) => Promise<void>) => {
    const plugin = plugins.get(name);
    assert.ok(plugin, `loss/${name} is registered`);
    const subject = { plugin, options: { ...options[name] }, plugins: [...plugins.values()] };
    return withPlugin(subject, (loss) => body(loss, loss.needs.includes("listwise") ? lists : pairs));
  };

  it("falls", () =>
    assertNoLeak(async () => {
      for (const name of plugins.keys())
        await using(name, async (loss, examples) => {
          const { model, dispose } = testModel();
          const steps: TuningStep[] = [];
          const onStep = (step: TuningStep) => void steps.push(step);
          await tuneOnPreferences({ policy: model, lora, settings, seed: 1, onStep }, examples, loss);
          const [first, last] = [steps[0], steps.at(-1)];
          assert.ok(first && last && first.gradNorm !== undefined && first.gradNorm > 0, `${name}: no gradient arrives`);
          assert.ok(last.loss < first.loss, `${name}: ${first.loss} -> ${last.loss}`);
          dispose();
        });
    }));

  it("that takes no rejected texts can do without them", () =>
    using("sft", async (loss) => {
      const { model, dispose } = testModel();
      const steps: TuningStep[] = [];
      const chosen = pairs.map((pair) => ({ ...pair, rejected: [] }));
      await tuneOnPreferences({ policy: model, lora, settings, seed: 1, onStep: (step) => void steps.push(step) }, chosen, loss);
      assert.ok((steps.at(-1)?.loss as number) < (steps[0]?.loss as number));
      dispose();
    }));

  it("that remembers something goes on where it was killed, and begins anew with every tuning", () =>
    using("bco", async (loss) => {
      const tuning = async (changes: object, of = loss) => {
        const { model, dispose } = testModel();
        const steps: TuningStep[] = [];
        const onStep = ({ tokensPerSecond: _, ...step }: TuningStep) => void steps.push(step as TuningStep);
        try {
          await tuneOnPreferences({ policy: model, lora, settings: { ...settings, batchSize: 1 }, seed: 1, onStep, ...changes }, pairs, of);
        } catch (error) {
          if (!/killed/.test(String(error))) throw error;
        }
        dispose();
        return steps;
      };
      const whole = await tuning({});
      assert.deepEqual(await tuning({}), whole, "a second tuning by the same loss");

      let saved: TrainingState | null = null;
      const checkpoint: Checkpoint = {
        every: 7,
        load: async () => saved,
        save: async (state) => {
          saved = structuredClone(state);
        },
      };
      const kill = new AbortController();
      const killing = ({ step }: TuningStep) => step === 9 && kill.abort(new Error("killed"));
      await tuning({ checkpoint, signal: kill.signal, onStep: killing });
      assert.equal((saved as TrainingState | null)?.step, 10);
      await using("bco", async (fresh) => assert.deepEqual(await tuning({ checkpoint }, fresh), whole));
    }));
});
