import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { Registry } from "../../../framework/kernel/registry.js";
import { planOf } from "../../../framework/plan/plan.js";
import type { Rates } from "../../../framework/plan/rates.js";
import { workOf } from "../../../framework/plan/work.js";
import { readSpec } from "../../../framework/spec/read.js";
import { resolveSpec } from "../../../framework/spec/resolve.js";
import type { Spec } from "../../../framework/spec/types.js";
import { packageRoot } from "../../../framework/setup/paths.js";
import { simulate } from "./simulate.js";

const sizes = { items: 100, interactionsPerUser: 40, listsPerUser: 5, promptTokens: 200, completionTokens: 20, width: 8 };
const rate = (perSecond: number, device: "cpu" | "gpu" = "cpu") => ({ perSecond, device });
const rates: Rates = {
  sizes,
  startup: { process: 2, languageModel: 7, again: 3 },
  rates: {
    interactions: rate(1e5),
    texts: rate(1e3),
    promptTokens: rate(1000),
    completionTokens: rate(100),
    trainedTokens: rate(400),
    fittedSequences: rate(500),
    fittedLists: rate(2000),
    scoredLists: rate(10_000),
    comparedUsers: rate(1e6),
  },
};

const registry = await Registry.read();

async function spec(...set: readonly string[]): Promise<Spec> {
  const file = join(packageRoot, "test/e2e/specs/small.json");
  return resolveSpec(await readSpec(file, set), registry).spec;
}

describe("plan", () => {
  it("counts what the method does: a spec of 60/10/30, two policies' worth of iterations, hand-computed", async () => {
    const steps = new Map(workOf(await spec(), registry, 1000, sizes).map((step) => [step.step, step]));
    const of = (step: string) => steps.get(step)?.work;
    // 600 align users, 120 of them held out, 480 tuned; llm-0, llm-warm, llm-1, llm-2; N = 4
    assert.deepEqual(of("prepare"), { interactions: 40_000 });
    assert.deepEqual(of("infer"), { promptTokens: 4 * 1120 * 200, completionTokens: 4 * (1000 + 120 * 4) * 20 });
    assert.deepEqual(of("warm-up"), { trainedTokens: 16 * 220 });
    assert.deepEqual(of("sample"), { promptTokens: 2 * 480 * 200, completionTokens: 2 * 480 * 4 * 20 });
    // 2 folds x 2 seeds, each on half of the align users, three epochs; the encoders once, the recommenders every iteration
    assert.deepEqual(of("recommend"), { fittedSequences: 3 * 300 * 4, fittedLists: 2 * 4 * 3 * 300 * 5 });
    const align = of("align")?.trainedTokens as number;
    assert.ok(Math.abs(align - 2 * 480 * (4 / 3) * 240) < 1e-6);
    // id-only, item-only, metadata, shuffled and four policies are fitted; swapped is scored besides
    assert.deepEqual(of("fit arms"), { fittedSequences: 3 * 600 * 2, fittedLists: 3 * 8 * 2 * 600 * 5 });
    assert.deepEqual(of("evaluate"), { scoredLists: 9 * 2 * 300 * 5, comparedUsers: 300 * 2 * (9 + 36) });
  });

  it("counts the examples that a strategy makes of a user", async () => {
    const aligned = async (...set: string[]) => {
      const { work } = workOf(await spec(...set), registry, 1000, sizes).find(({ step }) => step === "align") ?? {};
      return Math.round(100 * ((work?.trainedTokens ?? Number.NaN) / (2 * 480 * (4 / 3) * 240))) / 100;
    };
    assert.equal(await aligned("sampling.plugin=all-pairs", "sampling.options.cap=6", "alignment.structure=off"), 6);
    assert.equal(
      await aligned("sampling.plugin=top-bottom-k", "sampling.options.k=2", "alignment.structure=gate", "alignment.structureShare=0.5"),
      2 * 2 * 2,
    );
    assert.equal(await aligned("sampling.plugin=crossed", "sampling.options.pairs=3", "alignment.structureShare=0"), 3);
    assert.equal(
      await aligned("sampling.plugin=multi-negative", "loss.plugin=s-dpo", "alignment.structure=gate"),
      1,
      "no structure pairs beside lists",
    );
  });

  it("counts fits and rankings once that a later iteration finds: under the template's texts all of them hear by the same models", async () => {
    const of = async (...set: string[]) => new Map(workOf(await spec(...set), registry, 1000, sizes).map((step) => [step.step, step]));
    const [policy, template] = [await of(), await of("alignment.hears=template")];
    const fitted = policy.get("recommend")?.work.fittedLists as number;
    assert.deepEqual(
      [template.get("recommend")?.work.fittedLists, template.get("recommend")?.rounds, policy.get("recommend")?.rounds],
      [fitted / 2, 1, 2],
    );
    // two seeds, five lists, N = 4, 120 held-out users: the second models would score two policies' texts that the first have scored
    const scored = (steps: typeof policy) => steps.get("score")?.work.scoredLists as number;
    assert.equal(scored(policy) - scored(template), 2 * 5 * 2 * 120 * 4);
  });

  it("counts all that a reward has ranked: of other users, with a neutral text, and of the texts that it is calibrated by", async () => {
    const scored = async (reward?: object, ...set: string[]) => {
      const steps = workOf(await spec(...(reward ? [`reward=${JSON.stringify(reward)}`] : []), ...set), registry, 1000, sizes);
      return (steps.find(({ step }) => step === "score")?.work.scoredLists as number) / (2 * 5); // two seeds, five lists
    };
    const plugin = (name: string, options: object = {}) => ({ plugin: name, options });
    const weighted = (...rewards: object[]) => plugin("weighted", { rewards: rewards.map((reward) => ({ reward })) });
    const contrast = (users: number, reward = plugin("ndcg")) => plugin("contrast", { users, reward });
    const lift = (reward: object) => plugin("lift", { reward });
    // Of 480 tuned users two iterations' texts, of 120 held-out ones those of four policies by the first models and of two by the second;
    // the hearing test asks 600 listeners twice an iteration, and the best of N is ranked once
    const [texts, heard] = [(2 * 480 + 6 * 120) * 4, 2 * 2 * 600 + 480];
    const calibrated = 8 * 600; // every time that texts are scored
    assert.equal(await scored(), texts + heard);
    assert.equal(await scored(lift(plugin("mrr"))), 2 * texts + heard);
    assert.equal(await scored(contrast(7)), 8 * texts + heard);
    assert.equal(await scored(contrast(7, lift(plugin("mrr")))), 2 * 8 * texts + heard);
    assert.equal(await scored(weighted(contrast(7), contrast(3))), 11 * (texts + calibrated) + heard);
    assert.equal(await scored(contrast(7, weighted(plugin("ndcg")))), 8 * texts + calibrated + heard);
    assert.equal(await scored(lift(weighted(contrast(7)))), 2 * 15 * (texts + calibrated) + heard);
    assert.equal(await scored(weighted(plugin("structure"))), heard, "nothing is ranked for it");
    const crossed = ["sampling.plugin=crossed", "sampling.options.samples=4", "sampling.options.partners=6"];
    assert.equal(await scored(undefined, ...crossed), texts + 2 * 480 * 6 + heard, "and six other users' texts");
    assert.equal(await scored(weighted(plugin("ndcg")), ...crossed), texts + 2 * 480 * 6 + calibrated + 2 * 600 + heard);
  });

  it("lets the reward models learn from all align users, however few of them are sampled", async () => {
    const of = async (...set: string[]) => new Map(workOf(await spec(...set), registry, 1000, sizes).map(({ step, work }) => [step, work]));
    const [all, few] = [await of(), await of("alignment.users=100")];
    assert.deepEqual(few.get("recommend"), all.get("recommend"));
    assert.deepEqual(few.get("sample"), { promptTokens: 2 * 80 * 200, completionTokens: 2 * 80 * 4 * 20 });
  });

  it("leaves out what a spec does not do", async () => {
    const file = join(packageRoot, "test/e2e/specs/quick.json");
    const { spec: quick } = resolveSpec(await readSpec(file), registry);
    const steps = workOf(quick, registry, 1000, sizes).map(({ step }) => step);
    assert.deepEqual(steps, ["prepare", "encode", "fit arms", "evaluate"]);
  });

  it("divides by rates, workers and prices", async () => {
    const work = workOf(await spec(), registry, 10_000, sizes);
    const prices = { currency: "EUR", gpuHour: 2, cpuHour: 0.5, gigabyteMonth: 0.1 };
    const one = planOf(work, rates, { gpus: 1, cpus: 1 }, 10_000, prices);
    const infer = one.steps.find(({ step }) => step === "infer");
    const seconds = (4 * 11_200 * 200) / 1000 + (4 * (10_000 + 1200 * 4) * 20) / 100;
    assert.ok(Math.abs((infer?.wallSeconds ?? 0) - seconds) < 1e-6);
    assert.ok(Math.abs((infer?.cpuHours ?? 0) - seconds / 3600) < 1e-9);
    assert.equal(infer?.gpuHours, 0);
    assert.ok(Math.abs((infer?.cost ?? 0) - ((seconds / 3600) * 0.5 + ((infer?.bytes ?? 0) / 1e9) * 0.1)) < 1e-9);
    assert.equal(one.steps.find(({ step }) => step === "language model")?.wallSeconds, 7);
    const onGpu = { ...rates, rates: { ...rates.rates, promptTokens: rate(1000, "gpu"), completionTokens: rate(100, "gpu") } };
    const four = planOf(work, onGpu, { gpus: 4, cpus: 1 }, 10_000, prices).steps.find(({ step }) => step === "infer");
    // ten parts a round for four workers: three turns, each with its process and its model
    assert.ok(Math.abs((four?.wallSeconds ?? 0) - 4 * 3 * (seconds / 40 + 5)) < 1e-6);
    assert.ok(Math.abs((four?.gpuHours ?? 0) - (seconds + 40 * 5) / 3600) < 1e-9);
  });

  it("names the step that a run would wait for, and whether workers help", async () => {
    const work = workOf(await spec(), registry, 10_000, sizes);
    const slow = { ...rates, rates: { ...rates.rates, trainedTokens: rate(1) } };
    const { bottleneck } = planOf(work, slow, { gpus: 8, cpus: 8 }, 10_000, null);
    assert.equal(bottleneck.step, "align");
    assert.match(bottleneck.because, /one part for 8 workers/);
    const { trainedTokens: _, ...unknown } = rates.rates;
    const align = planOf(work, { ...rates, rates: unknown }, { gpus: 1, cpus: 1 }, 10_000, null).steps.find(({ step }) => step === "align");
    assert.deepEqual(align?.unknown, ["trainedTokens"]);
    assert.match(planOf(work, rates, { gpus: 1, cpus: 1 }, 1e8, null).limits.join(), /more than one prepared data set holds/);
  });

  it("agrees with a simulation of workers that take parts of uneven length as they come", async () => {
    const small = await spec();
    fc.assert(
      fc.property(fc.integer({ min: 1000, max: 200_000 }), fc.integer({ min: 1, max: 12 }), fc.integer(), (users, cpus, seed) => {
        const work = workOf(small, registry, users, sizes);
        const { total } = planOf(work, rates, { gpus: 1, cpus }, users, null);
        const simulated = simulate(work, rates, cpus, seed);
        const ratio = simulated / total.wallSeconds;
        assert.ok(ratio > 0.8 && ratio < 1.25, `${simulated} s simulated, ${total.wallSeconds} s planned`);
      }),
      { numRuns: 200 },
    );
  });
});
