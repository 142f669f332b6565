/** Each loss by hand, and the properties that need no oracle. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import type { PreferenceBatch, PreferenceLoss } from "../../../framework/contracts/feedback.js";
import type { PluginClass } from "../../../framework/contracts/plugin.js";
import { loadPlugin } from "../../../framework/kernel/load.js";
import { Registry } from "../../../framework/kernel/registry.js";
import { AdamW, valueAndGradients } from "../../../framework/tensor/optimiser.js";
import { withPlugin } from "../../../framework/testing/index.js";
import { assertNoLeak, useEngine } from "../../support/engine.js";
import { close, variable } from "../../support/tensors.js";

interface Pair {
  readonly u: number;
  readonly v: readonly number[];
}
type Options = Readonly<Record<string, unknown>>;

const plugins = new Map<string, PluginClass<PreferenceLoss>>();

/** Log-probs 10 nats below 0, lengths of 5 and 4 tokens, and whatever `more` says. */
function batchOf(
  pairs: readonly Pair[],
  more: { readonly w?: number[]; readonly l?: number[][]; readonly mismatched?: number[] } = {},
): PreferenceBatch {
  const w = more.w ?? pairs.map(() => -10);
  const l = more.l ?? pairs.map(({ v }) => v.map(() => -12));
  const k = l[0]?.length ?? 0;
  return {
    chosen: {
      logProbs: tf.tensor1d(w),
      reference: tf.tensor1d(pairs.map(({ u }, i) => (w[i] as number) - u)),
      lengths: tf.tensor1d(pairs.map(() => 5)),
      rewards: tf.tensor1d(pairs.map(() => 0.8)),
    },
    rejected: {
      logProbs: tf.tensor2d(l, [pairs.length, k]),
      reference: tf.tensor2d(pairs.map(({ v }, i) => v.map((ratio, d) => (l[i]?.[d] as number) - ratio)), [pairs.length, k]), // biome-ignore format: one line
      lengths: tf.fill([pairs.length, k], 4),
      rewards: tf.tensor2d(pairs.map(({ v }) => v.map((_, d) => 0.4 / (d + 1))), [pairs.length, k]), // biome-ignore format: one line
    },
    mismatched: {
      logProbs: tf.tensor1d(more.mismatched ?? [0]),
      reference: tf.tensor1d((more.mismatched ?? [0]).map(() => 0)),
    },
  };
}

function lossesOf(name: string, options: Options, ...given: Parameters<typeof batchOf>): Promise<number[]> {
  const plugin = plugins.get(name);
  assert.ok(plugin, `loss/${name} is registered`);
  return assertNoLeak(() => withPlugin({ plugin, options }, (loss) => tf.tidy(() => [...loss.loss(batchOf(...given)).dataSync()])));
}

const one = [{ u: 1, v: [-2] }];
const two = [{ u: 1, v: [-2, 0] }];

/** u = 1, v = -2, log pi = -10 and -12, |y| = 5 and 4, so a = -2 and -3; rewards 0.8 against 0.4, 0.2. */
const byHand: readonly (readonly [name: string, options: Options, pairs: readonly Pair[], expected: number])[] = [
  ["dpo", { beta: 1 }, one, 0.0485874], // log(1 + e^-3)
  ["robust-dpo", { beta: 1, labelSmoothing: 0.25 }, one, -1.4514126], // (0.75 * 0.0485874 - 0.25 * 3.0485874) / 0.5
  ["hinge", { beta: 0.2 }, one, 0.4], // 1 - 0.6
  ["hinge", { beta: 0.2, reference: false }, one, 0.6], // 1 - 0.2 (-10 + 12)
  ["ipo", { beta: 1 }, one, 0.04], // 1/5 + 2/4 - 1/2 = 0.2
  ["ipo", { beta: 1, normalise: false }, one, 6.25], // 3 - 1/2
  ["exo", { beta: 1, labelSmoothing: 0.1 }, one, 0.0187008], // q = 0.9525741: q (log q - log 0.9) + (1 - q)(log(1 - q) - log 0.1)
  ["nca", { beta: 1 }, one, 1.0333565], // 0.3132617 + 1.3132617 / 2 + 0.1269280 / 2
  ["bco", { beta: 1, shift: false }, one, 0.4401897], // 0.3132617 + 0.1269280
  ["bco", { beta: 1 }, one, 0.4028266], // d = -0.5: 2 log(1 + e^-1.5)
  ["sppo", { beta: 0.5 }, one, 1], // (1 - 1)^2 + (-2 + 1)^2
  ["apo-zero", { beta: 1 }, one, 0.3881443], // 1 - s(1) + s(-2)
  ["apo-down", { beta: 1 }, one, 0.7784845], // s(1) + 1 - s(3)
  ["discopop", { beta: 1, temperature: 0.5 }, one, 0.0497841], // m = s(6): (1 - m) 0.0485874 + m e^-3
  ["f-dpo", { beta: 1, divergence: "forward-kl" }, one, 0.0008924], // e^2 - e^-1 = 7.0211767
  ["f-dpo", { beta: 1, divergence: "js" }, one, 0.15105], // log s(1) - log s(-2) = 1.8136663
  ["f-dpo", { beta: 1, divergence: "alpha", alpha: 0.5 }, one, 0.014541], // 2 e - 2 e^-0.5 = 4.2235022
  ["kto", { beta: 1 }, one, 0.3881443], // KL = 0: 1 - s(1) + 1 - s(2)
  ["kto", { beta: 1, each: "text" }, two, 0.2960479], // (1 - s(1) + 1 - s(2) + 1 - s(0)) / 3
  ["cpo", { beta: 1 }, one, 2.126928], // log(1 + e^-2) + 2
  ["cpo", { beta: 1, normalise: false }, one, 10.126928],
  ["simpo", { beta: 1, gamma: 0.5 }, one, 0.474077], // log(1 + e^-0.5)
  ["alphapo", { beta: 0.1, gamma: 0, alpha: 1 }, one, 0.2475868], // 0.1 (e^3 - e^2) = 1.2696481
  ["orpo", { beta: 1 }, one, 2.2887508], // 2 + log(1 + e^-1.0943443)
  ["dpo-norm", { beta: 1 }, one, 0.403186], // 1/5 + 2/4 = 0.7
  ["sft", {}, one, 2],
  ["sft", { each: "token" }, one, 2],
  ["s-dpo", { beta: 1 }, two, 0.3490124], // log(1 + e^-3 + e^-1)
  ["dmpo", { beta: 1 }, two, 0.126928], // 1 - (-2 + 0) / 2 = 2
  ["pl-topk", { beta: 1, top: 2 }, [{ u: 1, v: [0, -2] }], 0.4759404], // log(1 + e^-1 + e^-3) + log(1 + e^-2)
  ["rec-po", { beta: 1, lambda: 0.5, margin: "ratio" }, two, 1.3490122], // log(1 + e^(-3 + 1) + e^(-1 + 2))
  ["rec-po", { beta: 1, lambda: 0.5, margin: "log" }, two, 0.4214979], // log(1 + e^-3 1.4^0.5 + e^-1 1.6^0.5)
];

const ratio = fc.double({ min: -8, max: 8, noNaN: true });
const rejected = fc.array(ratio, { minLength: 1, maxLength: 8 });

describe("preference losses", () => {
  useEngine();
  before(async () => {
    for (const entry of (await Registry.read()).list("loss"))
      plugins.set(entry.name, (await loadPlugin(entry)) as PluginClass<PreferenceLoss>);
  });

  it("have their hand-computed values", async () => {
    for (const [name, options, pairs, expected] of byHand) {
      const values = await lossesOf(name, options, pairs);
      assert.ok(
        Math.abs((values[0] as number) - expected) < 5e-6 * Math.max(1, expected),
        `${name} ${JSON.stringify(options)}: ${values[0]}, ${expected}`,
      );
    }
  });

  it("have the golden rows of losses.md", async () => {
    const pairs = [[-12.3, -14.1, -13, -13.5, 10, 12], [-8, -7.2, -8.5, -8.1, 7, 6], [-20.5, -19, -20, -20.4, 16, 15]] as const; // biome-ignore format: one line
    const of = (name: string) =>
      assertNoLeak(() =>
        withPlugin({ plugin: plugins.get(name) as PluginClass<PreferenceLoss>, options: { beta: 0.1 } }, (loss) =>
          tf.tidy(() => {
            const at = (i: number) => pairs.map((pair) => pair[i] as number);
            const columns = (i: number) => tf.tensor2d(at(i), [3, 1]);
            const chosen = { logProbs: tf.tensor1d(at(0)), reference: tf.tensor1d(at(2)), lengths: tf.tensor1d(at(4)) };
            return [...loss.loss({ chosen, rejected: { logProbs: columns(1), reference: columns(3), lengths: columns(5) } }).dataSync()];
          }),
        ),
      );
    close(await of("dpo"), [0.630258, 0.713347, 0.792653], 2e-6);
    close(await of("ipo"), [23.8144, 25.791888, 26.261354], 2e-6);
    close(await of("nca"), [1.354938, 1.397269, 1.435487], 2e-6);
  });

  it("are ln 2, or 1, where policy and reference agree", async () => {
    const same = [{ u: 0, v: [0] }];
    for (const name of ["dpo", "robust-dpo", "aot", "discopop", "f-dpo", "dpo-norm", "s-dpo", "dmpo", "pl-topk"])
      close(await lossesOf(name, {}, same), [name === "discopop" ? (Math.LN2 + 1) / 2 : Math.LN2], 1e-6);
    for (const name of ["hinge", "apo-zero", "apo-down", "kto"]) close(await lossesOf(name, {}, same), [1], 1e-6);
    close(await lossesOf("nca", {}, same), [2 * Math.LN2], 1e-6);
    close(await lossesOf("bco", {}, same), [2 * Math.LN2], 1e-6);
  });

  it("are the same loss where they should be", () =>
    fc.assert(
      fc.asyncProperty(ratio, rejected, async (u, v) => {
        const [pair] = [[{ u, v: v.slice(0, 1) }]];
        const dpo = await lossesOf("dpo", { beta: 0.3 }, pair);
        for (const [
          name,
          options,
        ] of [["robust-dpo", { labelSmoothing: 0 }], ["s-dpo", {}], ["dmpo", {}], ["pl-topk", {}], ["aot", {}], ["aot", { unpaired: true }]] as const) // biome-ignore format: one line
          close(await lossesOf(name, { beta: 0.3, ...options }, pair), dpo, 2e-5);
        const list = [{ u, v }];
        const softmax = Math.log(v.reduce((sum, ratio) => sum + Math.exp(0.3 * (ratio - u)), 1));
        close(await lossesOf("s-dpo", { beta: 0.3 }, list), [softmax], 2e-5);
        close(await lossesOf("pl-topk", { beta: 0.3, top: 1 }, list), [softmax], 2e-5);
        close(await lossesOf("rec-po", { beta: 0.3, lambda: 0 }, list), [softmax], 2e-5);
        close(await lossesOf("alphapo", { alpha: 0, beta: 2, gamma: 1 }, list), await lossesOf("simpo", {}, list), 2e-5);
      }),
      { numRuns: 30 },
    ));

  it("alphapo goes over into simpo", async () => {
    const simpo = await lossesOf("simpo", { beta: 2, gamma: 1 }, one);
    for (const alpha of [1e-4, -1e-4]) close(await lossesOf("alphapo", { alpha, beta: 2, gamma: 1 }, one), simpo, 1e-3);
  });

  it("dpo and others fall as the margin grows", () =>
    fc.assert(
      fc.asyncProperty(ratio, ratio, fc.double({ min: 0.5, max: 4, noNaN: true }), async (u, v, more) => {
        for (const name of ["dpo", "robust-dpo", "f-dpo", "apo-zero", "s-dpo", "dmpo", "bco", "kto"]) {
          const options = name === "bco" ? { shift: false } : {};
          const [near, far] = [await lossesOf(name, { beta: 0.2, ...options }, [{ u, v: [v] }]), await lossesOf(name, { beta: 0.2, ...options }, [{ u: u + more, v: [v] }])]; // biome-ignore format: one line
          assert.ok((far[0] as number) < (near[0] as number), `${name}: ${near[0]} -> ${far[0]}`);
        }
      }),
      { numRuns: 20 },
    ));

  it("aot does not depend on the order of the batch, and sorts: [2, -1] against [-1, 1] is [0, 1]", async () => {
    const pairs = [{ u: 0, v: [-3] }, { u: 0, v: [2] }]; // biome-ignore format: one line
    const at = { w: [-10, -10], l: [[-12], [-9]] };
    close(await lossesOf("aot", { beta: 1 }, pairs, at), [Math.LN2, 0.3132617], 1e-6);
    close(
      await lossesOf("aot", { beta: 1 }, pairs.toReversed(), { w: at.w.toReversed(), l: at.l.toReversed() }),
      [Math.LN2, 0.3132617],
      1e-6,
    );
  });

  it("sft and the NLL of cpo by token are the mean over the tokens of all texts", async () => {
    const chosen = { logProbs: tf.tensor1d([-10, -1]), lengths: tf.tensor1d([9, 1]) };
    const rejected = { logProbs: tf.tensor2d([-10, -1], [2, 1]) }; // the margins are 0
    const losses = [["sft", {}, 0, 1], ["cpo", { alpha: 2 }, Math.log(2), 2]] as const; // biome-ignore format: one table
    const means = [["token", 11 / 10], ["text", (10 / 9 + 1) / 2]] as const; // biome-ignore format: one table
    for (const [name, options, margin, weight] of losses)
      for (const [each, nll] of means) {
        const plugin = plugins.get(name) as PluginClass<PreferenceLoss>;
        const mean = await withPlugin({ plugin, options: { ...options, each } }, (loss) =>
          tf.tidy(() => tf.mean(loss.loss({ chosen, rejected })).dataSync()),
        );
        close(mean, [margin + weight * nll], 1e-6);
      }
    tf.dispose([chosen, rejected] as never);
  });

  it("kto measures from the KL of mismatched texts, from 0 where that is negative", async () => {
    close(await lossesOf("kto", { beta: 1 }, one, { mismatched: [0.5] }), [0.4533989], 1e-6); // 1 - s(0.5) + 1 - s(2.5)
    close(await lossesOf("kto", { beta: 1 }, one, { mismatched: [-3, 2] }), [0.3881443], 1e-6);
    close(await lossesOf("kto", { beta: 1, desirableWeight: 0, undesirableWeight: 2 }, one), [2 * 0.1192029], 1e-6);
  });

  it("dynamic-po looks at the boundary alone, and scales beta by how ambiguous it is", async () => {
    assert.deepEqual(await lossesOf("dynamic-po", {}, two), await lossesOf("dynamic-po", { beta: 1, margin: 6, clusters: 3 }, two)); // the authors' code
    // -9 is likelier than -10: m1 = -1, m2 = 3, tanh(-4 / 4) = -0.7615942, beta = 0.6192029, u - v = 1
    const pair = [{ u: 1, v: [-2, 0] }];
    close(await lossesOf("dynamic-po", { beta: 1, margin: 0 }, pair, { l: [[-12, -9]] }), [0.4307256], 1e-6);
    // none is likelier: of -11, -11.5 | -20 | -30, -31 the first cluster
    const far = await lossesOf("dynamic-po", { beta: 1, margin: 0 }, [{ u: 1, v: [0, 5, 5, 0, 5] }], { l: [[-11, -20, -30, -11.5, -31]] });
    const beta = (m1: number, m2: number) => 1 + Math.tanh((m1 - m2) / (m1 + m2)) / 2;
    const x = (beta(1, 16) + beta(1.5, 15.5)) / 2; // the others' mean is -27
    close(far, [Math.log1p(Math.exp(-x))], 1e-5);
  });

  it("bco's threshold is the mean over all batches, and comes back from its state", async () => {
    await assertNoLeak(() =>
      withPlugin({ plugin: plugins.get("bco") as PluginClass<PreferenceLoss>, options: { beta: 1 } }, (loss) => {
        const of = (u: number, v: number, pairs = 1) =>
          tf.tidy(() => loss.loss(batchOf(Array.from({ length: pairs }, () => ({ u, v: [v] })))).dataSync()[0] as number);
        const at = (u: number, v: number, shift: number) => Math.log1p(Math.exp(shift - u)) + Math.log1p(Math.exp(v - shift));
        close([of(1, 0)], [at(1, 0, 0.5)], 1e-6);
        close([of(3, 2, 3)], [at(3, 2, 2)], 1e-6); // (0.5 + 3 * 2.5) / 4
        const state = loss.state?.() ?? null;
        assert.deepEqual(state, { mean: 2, pairs: 4 });
        close([of(0, -20, 4)], [at(0, -20, -4)], 1e-6);
        loss.restore?.(JSON.parse(JSON.stringify(state)));
        close([of(0, -20, 4)], [at(0, -20, -4)], 1e-6);
        loss.restore?.(null);
        close([of(1, 0)], [at(1, 0, 0.5)], 1e-6);
      }),
    );
  });

  it("the softmax losses push as much up as down", () =>
    assertNoLeak(async () => {
      for (const name of ["s-dpo", "dmpo", "rec-po", "dynamic-po", "pl-topk"])
        await withPlugin({ plugin: plugins.get(name) as PluginClass<PreferenceLoss>, options: {} }, (loss) =>
          tf.tidy(() => {
            const batch = batchOf([{ u: 1, v: [-2, 0, 3] }, { u: 0, v: [1, -1, 0.5] }]); // biome-ignore format: one line
            const sum = (w: tf.Tensor, l: tf.Tensor) =>
              tf.sum(
                loss.loss({
                  ...batch,
                  chosen: { ...batch.chosen, logProbs: w as tf.Tensor1D },
                  rejected: { ...batch.rejected, logProbs: l as tf.Tensor2D },
                }),
              );
            const [up, down] = tf.grads(sum)([batch.chosen.logProbs, batch.rejected.logProbs]);
            assert.ok(up && down);
            close(up, tf.neg(tf.sum(down, 1)).dataSync(), 1e-5);
          }),
        );
    }));

  it("rec-po has margins of ordinary size where rewards are 0, as NDCG@5 often is", () =>
    assertNoLeak(async () => {
      const of = (options: Options) =>
        withPlugin({ plugin: plugins.get("rec-po") as PluginClass<PreferenceLoss>, options: { ...options } }, (loss) =>
          tf.tidy(() => {
            const logProbs = tf.tensor2d([[-10, -10, -10]]);
            const chosen = { logProbs: tf.tensor1d([-10]), reference: tf.tensor1d([-10]), rewards: tf.tensor1d([0.6]) };
            return loss.loss({ chosen, rejected: { logProbs, reference: logProbs, rewards: tf.tensor2d([[0.3, 0.2, 0]]) } }).dataSync()[0] ?? Number.NaN; // biome-ignore format: one line
          }),
        );
      const expected = (...margins: number[]) => Math.log1p(margins.reduce((sum, margin) => sum + Math.exp(margin), 0));
      close([await of({})], [expected(2, 3, 6)], 1e-6); // 0.6 / 0.1
      close([await of({ floor: 0.2 })], [expected(2, 3, 3)], 1e-6);
      close([await of({ margin: "log" })], [expected(...[1.3, 1.4, 1.6].map(Math.log))], 1e-6);
    }));

  it("have gradients that an optimiser can take, however far the policy has gone from the reference", async () => {
    const far = [-40, -60, -80, -300];
    for (const [
      name,
      options,
    ] of [["f-dpo", { beta: 1, divergence: "forward-kl" }], ["f-dpo", { beta: 1, divergence: "alpha", alpha: 0.1 }], ["alphapo", { alpha: 5 }], ["alphapo", { alpha: -5 }]] as const) // biome-ignore format: one line
      for (const ratio of far)
        await assertNoLeak(() =>
          withPlugin({ plugin: plugins.get(name) as PluginClass<PreferenceLoss>, options }, (loss) => {
            const logProbs = variable(() => tf.tensor1d([ratio]));
            const optimiser = new AdamW([logProbs], { learningRate: 0.1, weightDecay: 0, clip: 1 });
            const { value, gradients } = valueAndGradients([logProbs], () => {
              const batch = batchOf([{ u: ratio, v: [0] }], { w: [ratio] });
              return tf.sum(loss.loss({ ...batch, chosen: { ...batch.chosen, logProbs: logProbs as tf.Tensor as tf.Tensor1D } }));
            });
            const norm = optimiser.apply(gradients);
            const [after] = logProbs.dataSync();
            const told = `${name} ${JSON.stringify(options)} at ${ratio}: loss ${value}, norm ${norm}, ${after}`;
            assert.ok(Number.isFinite(value) && Number.isFinite(norm), told);
            if (name === "f-dpo") assert.ok((after ?? 0) > ratio + 0.05, `the chosen text is not pulled up: ${told}`);
            optimiser.dispose();
            tf.dispose([logProbs, ...gradients]);
          }),
        );
  });

  it("f-dpo goes on straight where its exponents would be too large", async () => {
    const at = async (u: number) => (await lossesOf("f-dpo", { beta: 1, divergence: "forward-kl" }, [{ u, v: [0] }]))[0] as number;
    close([(await at(-29)) / Math.exp(29)], [1], 1e-5);
    close([((await at(-33)) - (await at(-31))) / Math.exp(30)], [2], 1e-5);
  });

  it("say which need they were not given", async () => {
    const bare = () => ({ chosen: { logProbs: tf.tensor1d([-1]) }, rejected: { logProbs: tf.tensor2d([[-2]]) } });
    for (const [name, plugin] of plugins) {
      if (name === "mix") continue;
      await withPlugin({ plugin }, (loss) => assert.throws(() => tf.tidy(() => loss.loss(bare())), /"(reference|lengths|rewards|mismatched)"/, name)); // biome-ignore format: one line
    }
  });
});
