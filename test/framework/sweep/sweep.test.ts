import assert from "node:assert/strict";
import fc from "fast-check";
import { RlrfError } from "../../../framework/errors.js";
import type { Registry } from "../../../framework/kernel/registry.js";
import { SpecFaults } from "../../../framework/spec/faults.js";
import type { Json } from "../../../framework/spec/json.js";
import { pointerKeys } from "../../../framework/spec/pointer.js";
import { specFromValue } from "../../../framework/spec/read.js";
import { resolveSpec } from "../../../framework/spec/resolve.js";
import { expandSweep, type Sweep, valuesText } from "../../../framework/sweep/expand.js";
import { sweepCost } from "../../../framework/plan/sweep-cost.js";
import { rungsOf, survivors } from "../../../framework/sweep/halving.js";
import { parseSelection, selectionValue } from "../../../framework/sweep/selection.js";
import type { SweepSettings } from "../../../framework/spec/sweep.js";
import { baseSpec, fixtureRegistry, tunedSpec } from "../../support/fixtures.js";

let registry: Registry;
before(async () => {
  registry = await fixtureRegistry();
});

const beta = "/loss/options/beta";
const rate = "/alignment/learningRate";

function swept(sweep: Json, spec = tunedSpec()): Sweep {
  const expanded = expandSweep(specFromValue({ ...spec, sweep }), registry);
  assert.ok(expanded !== null);
  return expanded;
}

/** The values that the trials have at a pointer. */
function valuesAt({ trials }: Sweep, pointer: string): Json[] {
  return trials.map(({ values }) => values[pointer] as Json);
}

/** What is wrong, as "CODE pointer: where". */
function faultsOf(sweep: Json, spec = tunedSpec()): string[] {
  try {
    swept(sweep, spec);
    return [];
  } catch (error) {
    assert.ok(error instanceof SpecFaults, (error as Error).stack);
    return error.faults.map(({ code, pointer, message }) => `${code} ${pointer}: ${message}`);
  }
}

describe("sweep: points", () => {
  it("combines listed and spaced values, the last axis fastest, inner pointers after outer ones", () => {
    const sweep = swept({ axes: { [beta]: { log: [0.01, 1], count: 3 }, [rate]: { values: [0.001, 0.01] } } });
    assert.deepEqual(
      sweep.trials.map(({ id, resolved: { spec } }) => [id, spec.alignment?.learningRate, spec.loss?.options.beta]),
      [
        ["t1", 0.001, 0.01],
        ["t2", 0.001, 0.1],
        ["t3", 0.001, 1],
        ["t4", 0.01, 0.01],
        ["t5", 0.01, 0.1],
        ["t6", 0.01, 1],
      ],
    );
    const spaced = (axis: Json) => valuesAt(swept({ axes: { "/alignment/epochs": axis } }), "/alignment/epochs");
    assert.deepEqual(spaced({ range: [1, 9], count: 3, integer: true }), [1, 5, 9]);
    assert.deepEqual(spaced({ range: [1, 3], count: 9, integer: true }), [1, 2, 3], "rounded values that meet are one");
    assert.deepEqual(spaced({ log: [1, 100], count: 3, integer: true }), [1, 10, 100]);
  });

  it("takes whole plugins, and an option of theirs that is set afterwards", () => {
    const losses: Json[] = [{ plugin: "@fixture/margin" }, { plugin: "@fixture/margin", options: { beta: 0.25 } }];
    assert.deepEqual(
      swept({ axes: { "/loss": { values: losses } } }).trials.map(({ resolved: { spec } }) => spec.loss?.options.beta),
      [0.1, 0.25],
    );
    const both = swept({ axes: { [beta]: { values: [2, 3] }, "/loss": { values: losses.slice(0, 1) } } });
    assert.deepEqual(
      both.trials.map(({ resolved: { spec } }) => spec.loss?.options.beta),
      [2, 3],
    );
  });

  it("draws different points by the seed, within their bounds, and the same ones again", () => {
    fc.assert(
      fc.property(
        fc.nat(1000),
        fc.double({ min: 1e-6, max: 1, noNaN: true }),
        fc.double({ min: 1.5, max: 1e4, noNaN: true }),
        (seed, low, factor) => {
          const sweep = {
            strategy: "random",
            trials: 8,
            seed,
            axes: { [beta]: { log: [low, low * factor] }, [rate]: { range: [1e-5, 1e-2] } },
          };
          const first = swept(sweep);
          assert.deepEqual(swept(sweep).hash, first.hash);
          const betas = valuesAt(first, beta) as number[];
          assert.ok(betas.every((value) => value >= low && value <= low * factor));
          assert.equal(new Set(first.trials.map((trial) => valuesText(trial))).size, 8);
        },
      ),
      { numRuns: 30 },
    );
    const drawn = swept({ strategy: "random", trials: 400, axes: { [beta]: { log: [0.01, 1] } } });
    const below = (valuesAt(drawn, beta) as number[]).filter((value) => value < 0.1).length;
    assert.ok(Math.abs(below - 200) < 50, `${below} of 400 in the lower half of the logarithm`);
  });

  it("crosses every point with every seed", () => {
    const sweep = swept({ axes: { [beta]: { values: [1, 2] } }, seeds: { "/llm/seed": [7, 8], "/seeds": [[1], [2, 3]] } });
    assert.deepEqual(
      sweep.trials.slice(0, 5).map(({ id, point, resolved: { spec } }) => [id, point, spec.llm?.seed, spec.seeds]),
      [
        ["t1-s1", 1, 7, [1]],
        ["t1-s2", 1, 7, [2, 3]],
        ["t1-s3", 1, 8, [1]],
        ["t1-s4", 1, 8, [2, 3]],
        ["t2-s1", 2, 7, [1]],
      ],
    );
  });

  it("gives each trial the spec that it would have on its own", () => {
    const [trial] = swept({ axes: { [beta]: { values: [0.3] } } }).trials;
    const alone = resolveSpec(specFromValue({ ...tunedSpec(), loss: { plugin: "@fixture/margin", options: { beta: 0.3 } } }), registry);
    assert.deepEqual([trial?.resolved.hash, trial?.resolved.spec], [alone.hash, alone.spec]);
    const written = specFromValue(JSON.parse(JSON.stringify(alone.spec)) as Json);
    assert.equal(resolveSpec(written, registry).hash, alone.hash, "a resolved spec resolves to itself");
  });

  it("is no single experiment, and none when it is null", () => {
    assert.equal(expandSweep(specFromValue({ ...tunedSpec(), sweep: null }), registry), null);
    resolveSpec(specFromValue({ ...tunedSpec(), sweep: null }), registry);
    assert.throws(
      () => resolveSpec(specFromValue({ ...tunedSpec(), sweep: { axes: { [beta]: { values: [1] } } } }), registry),
      (error) => error instanceof RlrfError && error.code === "RLRF_SWEEP_HERE" && error.exit === 2,
    );
  });
});

describe("sweep: faults", () => {
  const one = { [beta]: { values: [1, 2] } };
  const cases: Record<string, [sweep: Json, faults: (string | RegExp)[], spec?: { [key: string]: Json }]> = {
    "no axes": [{}, ["RLRF_SPEC_MISSING /sweep/axes"]],
    "an unknown key": [{ axes: one, metrics: "reward" }, ["RLRF_SPEC_UNKNOWN_KEY /sweep/metrics"]],
    "two forms at once": [{ axes: { [beta]: { values: [1], range: [0, 1] } } }, [/an axis has values and range/]],
    "nothing to vary": [{ axes: { [beta]: {} } }, [/an axis has nothing to vary/]],
    "an empty range": [{ axes: { [beta]: { range: [2, 1], count: 2 } } }, [/the range from 2 to 1 is empty/]],
    "a logarithm of nothing": [{ axes: { [beta]: { log: [0, 1], count: 2 } } }, [/logarithmic range from 0/]],
    "no whole number": [{ axes: { [beta]: { range: [1.2, 1.8], count: 2, integer: true } } }, [/no whole number lies/]],
    "a grid without an end": [{ axes: { [beta]: { range: [0, 1] } } }, [/not every combination/]],
    "a count of listed values": [{ axes: { [beta]: { values: [1], count: 2 } } }, [/listed values have no count/]],
    "random without trials": [{ axes: one, strategy: "random" }, [/nothing says how many/]],
    "more trials than points": [{ axes: one, strategy: "random", trials: 3 }, [/3 trials were asked for, and the axes have 2/]],
    "a value or seed twice": [
      { axes: { [beta]: { values: [1, 2, 1] } }, seeds: { "/llm/seed": [3, 3] } },
      [/an entry stands twice/, /an entry stands twice/],
    ],
    "too many trials": [
      { axes: { [beta]: { range: [1, 100], count: 100 }, [rate]: { log: [0.1, 1], count: 100 } } },
      [/10000 trials, more than 1000/],
    ],
    "what is no pointer": [
      { axes: { "/a/~b": { values: [1] }, "reranker.options.epochs": { values: [1] } } },
      [/is no JSON pointer/, /"reranker.options.epochs" is no JSON pointer/],
    ],
    "what is no part of the experiment": [
      { axes: { "/tracking/uri": { values: [null] }, "/name": { values: ["a"] } } },
      [/"\/tracking\/uri" is not varied/, /"\/name" is not varied/],
    ],
    "a seed that is an axis": [{ axes: { "/llm/seed": { values: [1, 2] } }, seeds: { "/llm/seed": [1] } }, [/is given twice/]],
    "halving without a budget": [{ axes: one, strategy: "halving" }, [/a value that stands for the effort/]],
    "a budget that falls": [
      { axes: one, strategy: "halving", budget: { pointer: "/alignment/epochs", from: 4, to: 2 } },
      [/the budget would fall/],
    ],
    "a grid with a budget": [{ axes: one, budget: { pointer: "/alignment/epochs", from: 1, to: 2 } }, [/no effect with grid/]],
    "halving by nothing": [
      { axes: one, strategy: "halving", metric: null, budget: { pointer: "/alignment/epochs", from: 1, to: 2 } },
      [/needs a metric/],
    ],
    "a reward by other rulers": [
      { axes: { "/protocol/window": { values: [2, 3] } } },
      [/differ in \/protocol\/window are not measured by the same/],
    ],
    "a reward of other held-out users": [
      { axes: { "/llm/seed": { values: [1, 2] } } },
      [/differ in \/llm\/seed are not measured by the same/],
    ],
    "a reward of models that hear other texts": [
      { axes: { "/alignment/hears": { values: ["policy", "template"] } } },
      [/differ in \/alignment\/hears are not measured by the same/],
    ],
    "no reward": [{ axes: { "/protocol/window": { values: [2, 3] } }, metric: "reward" }, [/not measured by the same/], baseSpec()],
    "a metric that is not reported": [{ axes: one, metric: "ndcg@9" }, [/ndcg@9 is not among protocol.metrics/]],
    "an arm that is not there": [{ axes: one, metric: "metadata/ndcg@5" }, [/not every trial has the arm "metadata"/]],
    "test users by another name": [{ axes: one, metric: "test/ndcg@5" }, [/not every trial has the arm "test"/]],
    "trials that are the same": [
      { axes: { "/alignment/warmup": { values: [null, { epochs: 1 }, { epochs: 1, users: 240 }] } }, metric: "ndcg@5" },
      [/the trials t2 and t3 are the same/],
    ],
  };
  for (const [name, [sweep, expected, spec]] of Object.entries(cases))
    it(name, () => {
      const faults = faultsOf(sweep, spec);
      assert.equal(faults.length, expected.length, faults.join("\n"));
      for (const [i, pattern] of expected.entries())
        if (typeof pattern === "string") assert.ok(faults[i]?.startsWith(pattern), faults[i]);
        else assert.match(faults[i] ?? "", pattern);
    });

  it("come all at once, each with the trial's values, and what all trials have without", () => {
    const message = (): string => {
      try {
        swept({ axes: { [beta]: { values: [1, "x", -1] }, [rate]: { values: [0.1, 0] } } }, { ...tunedSpec(), seeds: [-1] });
        return "";
      } catch (error) {
        return (error as Error).message;
      }
    };
    assert.match(message(), /^RLRF_SPEC_FAULTS: 4 faults/);
    assert.match(message(), /seeds\.0 is -1\n {2}where {5}spec:1:\d+ \/seeds\/0\n/);
    assert.match(
      message(),
      /loss\.options\.beta is "x"\n {2}where {5}spec:1:\d+ \/loss\/options\/beta, in trial t2 \(\/alignment\/learningRate = 0\.1, \/loss\/options\/beta = x\), and in 1 more of 6/,
    );
    assert.match(message(), /alignment\.learningRate is 0\n.+, in trial t4 \(.+\), and in 2 more of 6/);
  });

  it("are coded, whatever the section holds", () => {
    const json = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json>;
    const number = fc.oneof(fc.double(), fc.integer(), json);
    const axis = fc.record(
      { values: fc.oneof(fc.array(json), json), range: fc.array(number), log: fc.array(number), count: number, integer: json },
      { requiredKeys: [] },
    );
    const pointer = fc.oneof(fc.constantFrom(beta, rate, "/loss", "/llm/seed", "/seeds/0", "/", ""), fc.string());
    const section = fc.record(
      {
        axes: fc.oneof(fc.constant({ [beta]: { values: [1, 2] } }), fc.dictionary(pointer, axis, { maxKeys: 3 }), json),
        seeds: fc.oneof(fc.dictionary(pointer, fc.array(json)), json),
        strategy: fc.oneof(fc.constantFrom("grid", "random", "halving"), json),
        trials: number,
        metric: fc.oneof(fc.constantFrom("reward", "ndcg@5", "llm-1/ndcg@5"), json),
        budget: fc.oneof(fc.record({ pointer, from: number, to: number, factor: number }), json),
      },
      { requiredKeys: [] },
    );
    const keys = fc.subarray(["axes", "seeds", "strategy", "trials", "metric", "budget"] as const, { maxLength: 3 });
    const sound = { axes: { [beta]: { values: [1, 2] } }, strategy: "grid" };
    let valid = 0;
    fc.assert(
      fc.property(section, keys, (odd, taken) => {
        const sweep = { ...sound, ...Object.fromEntries(taken.map((key) => [key, odd[key]])) };
        try {
          expandSweep(specFromValue(JSON.parse(JSON.stringify({ ...tunedSpec(), sweep })) as Json), registry);
          valid++;
        } catch (error) {
          assert.ok(error instanceof RlrfError, (error as Error).stack);
          assert.equal(error.exit, 2, error.message);
        }
      }),
      { numRuns: 1500 },
    );
    assert.ok(valid > 0);
  });
});

describe("sweep: halving", () => {
  const settings = (budget: object) =>
    ({ strategy: "halving", budget: { pointer: "/alignment/epochs", factor: 3, ...budget } }) as unknown as SweepSettings;

  it("gives a third of the points three times the budget, until the budget is spent", () => {
    assert.deepEqual(rungsOf(settings({ from: 1, to: 9 }), 9), [
      { budget: 1, points: 9 },
      { budget: 3, points: 3 },
      { budget: 9, points: 1 },
    ]);
    assert.deepEqual(
      rungsOf(settings({ from: 1, to: 8, factor: 2 }), 5).map(({ points }) => points),
      [5, 2, 1, 1],
    );
    assert.deepEqual(
      rungsOf(settings({ from: 0.01, to: 0.1 }), 4).map(({ budget }) => budget),
      [0.01, 0.03, 0.09],
    );
    assert.deepEqual(
      rungsOf(settings({ from: 1, to: 2, factor: 1.1 }), 4).map(({ budget }) => budget),
      [1, 2],
      "whole budgets that meet are one rung",
    );
    const met = rungsOf(settings({ from: 1, to: 4, factor: 1.3 }), 27).map(({ points }) => points);
    assert.deepEqual(met, [27, 20, 15, 11], "and leave points behind once");
  });

  it("keeps the best, of equals the first, and none that failed", () => {
    const standings = [0.1, 0.4, null, 0.4, 0.3, 0.2].map((selection, i) => ({ point: i + 1, selection }));
    assert.deepEqual(survivors(standings, 3), [2, 4]);
    assert.deepEqual(survivors(standings, 6), [2]);
    assert.deepEqual(survivors([{ point: 1, selection: null }], 3), []);
  });

  it("makes the trials of every rung before anything starts", () => {
    const sweep = swept({
      strategy: "halving",
      axes: { [beta]: { values: [1, 2, 3] } },
      budget: { pointer: "/alignment/epochs", from: 1, to: 3 },
    });
    assert.deepEqual(
      sweep.trials.map(({ id, budget, resolved: { spec } }) => [id, budget, spec.alignment?.epochs]),
      [
        ["r1-t1", 1, 1],
        ["r1-t2", 1, 1],
        ["r1-t3", 1, 1],
        ["r2-t1", 3, 3],
        ["r2-t2", 3, 3],
        ["r2-t3", 3, 3],
      ],
    );
    assert.deepEqual(sweep.metric, { kind: "reward" });
  });
});

describe("sweep: cost", () => {
  const alignment = { iterations: 2, heldOut: 0.2 };
  const spec = { ...tunedSpec(), alignment, protocol: { split: [0.5, 0.25, 0.25] }, seeds: [1, 2], arms: ["id-only", "llm", "swapped"] };

  it("adds up what the trials do, and says which texts are written once for several of them", () => {
    const cost = sweepCost(swept({ axes: { [beta]: { values: [1, 2, 3] } } }, spec), registry, () => 100);
    // Of 100 users 50 are aligned, 10 of them held out, 4 samples each: every policy writes 100 + 40 texts, and each iteration 40 * 4.
    const [untuned, all] = [140 + 160, 3 * 140 + 2 * 160];
    assert.deepEqual(
      { ...cost, promptTokens: 0, completionTokens: 0 },
      // id-only and llm-0 to llm-2 for two seeds, and 2 * 2 reward models of two seeds
      {
        trials: 3,
        fits: 3 * (2 * 4 + 2 * 2 * 2),
        texts: 3 * all,
        shared: 2 * untuned,
        promptTokens: 0,
        completionTokens: 0,
        pairs: 3 * 80,
        unknown: 0,
      },
    );
    const template = { ...spec, alignment: { ...alignment, hears: "template" } };
    assert.equal(sweepCost(swept({ axes: { [beta]: { values: [1] } } }, template), registry, () => 100).fits, 2 * 4 + 2 * 2, "fitted once");
    assert.deepEqual(
      sweepCost(swept({ axes: { "/llm/seed": { values: [1, 2] } }, metric: "ndcg@5" }, spec), registry, () => 100).shared,
      0,
    );
    assert.deepEqual(sweepCost(swept({ axes: { [beta]: { values: [1, 2] } } }, spec), registry, () => undefined).unknown, 2);
  });

  it("counts the trials of a rung that go on, at their budget", () => {
    const halving = {
      strategy: "halving",
      axes: { [beta]: { values: [1, 2, 3, 4] } },
      budget: { pointer: "/alignment/iterations", from: 1, to: 2, factor: 2 },
    };
    const { trials, texts } = sweepCost(swept(halving, spec), registry, () => 100);
    assert.deepEqual([trials, texts], [6, 4 * (2 * 140 + 160) + 2 * (3 * 140 + 2 * 160)]);
  });
});

describe("sweep: selection", () => {
  const interval = (mean: number | null) => ({ mean: mean as number, low: 0, high: 1 });
  const figures = {
    valid: {
      "item-only": { "ndcg@5": interval(0.9) },
      metadata: { "ndcg@5": interval(0.5) },
      "llm-0": { "ndcg@5": interval(0.6) },
      "llm-2": { "ndcg@5": interval(0.7) },
      swapped: { "ndcg@5": interval(0.1) },
    },
    llm: { "llm-0": { reward: 0.3 }, "llm-2": { reward: 0.4 } } as never,
  };

  it("reads the last policy's reward, or an arm on valid users, and nothing of test users", () => {
    const value = (text: string) => selectionValue(figures, parseSelection(text));
    assert.deepEqual(
      [value("reward"), value("ndcg@5"), value("metadata/ndcg@5"), value("ndcg@7"), value("best-of-N/ndcg@5")],
      [0.4, 0.7, 0.5, null, null],
    );
    assert.equal(selectionValue({ valid: { metadata: { "ndcg@5": interval(null) } }, llm: {} }, parseSelection("ndcg@5")), null);
    assert.equal(selectionValue({ valid: {}, llm: {} }, parseSelection("reward")), null);
  });

  it("takes pointers apart", () => {
    assert.deepEqual(pointerKeys("/a~1b/c~0d/0"), ["a/b", "c~d", "0"]);
    for (const wrong of ["", "a", "/a/~2", "/~"]) assert.equal(pointerKeys(wrong), undefined);
  });
});
