/** `try loss/NAME` against NumPy's float64 (test/golden/losses.py), and against TRL's own code (test/golden/losses_trl.py). */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { feeders } from "../../../framework/cli/feed.js";
import type { PreferenceLoss } from "../../../framework/contracts/feedback.js";
import type { PluginClass } from "../../../framework/contracts/plugin.js";
import { loadPlugin } from "../../../framework/kernel/load.js";
import { Registry } from "../../../framework/kernel/registry.js";
import { packageRoot } from "../../../framework/setup/paths.js";
import { parseJson } from "../../../framework/spec/json.js";
import { type EngineName, startEngine } from "../../../framework/tensor/engine.js";
import { withPlugin } from "../../../framework/testing/index.js";
import { close } from "../../support/tensors.js";

interface Variant {
  readonly name: string;
  readonly options: Readonly<Record<string, unknown>>;
}
interface Values {
  readonly loss: number[];
  readonly gradient?: { readonly chosen: number[]; readonly rejected: number[][] };
}
interface NumPyGolden {
  readonly variants: readonly Variant[];
  readonly cases: readonly { readonly input: object; readonly expected: readonly Values[] }[];
}
interface TrlGolden {
  readonly input: object;
  readonly expected: readonly (Variant & { readonly mean?: number; readonly loss?: number[]; readonly float32?: true })[];
}
type Tried = Required<Values> & { readonly mean: number };

async function golden<Content>(name: string): Promise<Content> {
  return JSON.parse(await readFile(join(packageRoot, "test", "golden", name), "utf8")) as Content;
}

describe("try loss/NAME", () => {
  const plugins = new Map<string, PluginClass<PreferenceLoss>>();
  let engine: EngineName;

  before(async function () {
    this.timeout(60_000);
    engine = (await startEngine()).name;
    for (const entry of (await Registry.read()).list("loss"))
      plugins.set(entry.name, (await loadPlugin(entry)) as PluginClass<PreferenceLoss>);
  });
  after(async () => {
    await startEngine(engine); // `try` computes on the plain-JavaScript engine
  });

  function tried({ name, options }: Variant, input: object): Promise<Tried> {
    const plugin = plugins.get(name);
    assert.ok(plugin && feeders.loss, `loss/${name} is not registered`);
    const { loss: feed } = feeders;
    return withPlugin({ plugin, options, plugins: [...plugins.values()] }, (loss) => feed(loss, parseJson(JSON.stringify(input), name))) as Promise<Tried>; // biome-ignore format: one line
  }

  it("agrees with NumPy to 1e-6: loss and gradient, 1 to 64 pairs, 1 to 8 rejected texts, log-ratios of +-10,000", async () => {
    const { variants, cases } = await golden<NumPyGolden>("losses.json");
    for (const { input, expected } of cases)
      for (const [i, variant] of variants.entries()) {
        const { loss, gradient } = expected[i] as Values;
        const actual = await tried(variant, input);
        const what = `${variant.name} ${JSON.stringify(variant.options)}, ${loss.length} pairs`;
        agrees(actual.loss, loss, what);
        if (gradient === undefined) {
          for (const value of [...actual.gradient.chosen, ...actual.gradient.rejected.flat()]) assert.ok(Number.isFinite(value), what);
        } else {
          agrees(actual.gradient.chosen, gradient.chosen, `${what}: gradient of the chosen`);
          agrees(actual.gradient.rejected.flat(), gradient.rejected.flat(), `${what}: gradient of the rejected`);
        }
      }
    const known = new Set(variants.map(({ name }) => name));
    assert.deepEqual([...plugins.keys()].filter((name) => !known.has(name)), ["mix"]); // biome-ignore format: one line
  });

  it("agrees with TRL on the losses that it has", async () => {
    const { input, expected } = await golden<TrlGolden>("losses-trl.json");
    for (const { loss, mean, float32, ...variant } of expected) {
      const actual = await tried(variant, input);
      const what = `${variant.name} ${JSON.stringify(variant.options)}`;
      agrees(loss === undefined ? [actual.mean] : actual.loss, loss ?? [mean as number], what, float32 ? 1e-5 : 1e-6);
    }
  });

  it("mix is the weighted sum of what it names, gradients included", async () => {
    const { cases } = await golden<NumPyGolden>("losses.json");
    const input = cases[3]?.input as object;
    const parts = [
      { plugin: "s-dpo", options: { beta: 0.5 } },
      { plugin: "bco", options: {} },
      { plugin: "sft", options: {} },
    ];
    const weights = [1, 0.2, -0.5];
    const own = await Promise.all(parts.map(({ plugin, options }) => tried({ name: plugin, options }, input)));
    const losses = parts.map((loss, i) => ({ loss, weight: weights[i] }));
    const mix = await tried({ name: "mix", options: { losses } }, input);
    const summed = (of: (values: Tried) => number[]) =>
      of(own[0] as Tried).map((_, at) => own.reduce((sum, values, i) => sum + (weights[i] as number) * (of(values)[at] as number), 0));
    agrees(mix.loss, summed(({ loss }) => loss), "loss"); // biome-ignore format: one line
    agrees(mix.gradient.chosen, summed(({ gradient }) => gradient.chosen), "gradient"); // biome-ignore format: one line
    agrees(mix.gradient.rejected.flat(), summed(({ gradient }) => gradient.rejected.flat()), "gradient"); // biome-ignore format: one line
  });
});

function agrees(actual: readonly number[], expected: readonly number[], what: string, tolerance = 1e-6): void {
  try {
    close(actual, expected, tolerance);
  } catch (error) {
    throw new Error(`${what}: ${(error as Error).message}`);
  }
}
