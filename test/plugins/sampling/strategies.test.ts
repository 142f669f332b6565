/** The sampling strategies besides best-worst: by hand, and what holds for all of them. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { PreferenceExample, SampledText, SamplingStrategy } from "../../../framework/contracts/feedback.js";
import type { PluginClass } from "../../../framework/contracts/plugin.js";
import { loadPlugin } from "../../../framework/kernel/load.js";
import { Registry } from "../../../framework/kernel/registry.js";
import { createRng } from "../../../framework/rng.js";
import { withPlugin } from "../../../framework/testing/index.js";

const plugins = new Map<string, PluginClass<SamplingStrategy>>();

function using<Result>(name: string, options: object, body: (strategy: SamplingStrategy) => Result): Promise<Result> {
  const plugin = plugins.get(name);
  assert.ok(plugin, `sampling/${name} is registered`);
  return withPlugin({ plugin, options: { ...options } }, body);
}

type Given = number | Partial<SampledText>;
const samplesOf = (given: readonly Given[]): SampledText[] =>
  given.map((of, i) => ({ text: `text ${i}`, reward: 0, length: 10, conforms: true, ...(typeof of === "number" ? { reward: of } : of) }));

function select(name: string, options: object, given: readonly Given[], seed = 1) {
  return using(name, options, (strategy) => strategy.select(samplesOf(given), createRng(seed)));
}
const pair = (chosen: number, ...rejected: number[]): PreferenceExample => ({ chosen, rejected });
const made = (...examples: PreferenceExample[]) => ({ examples, dropped: null });
const dropped = (reason: string) => ({ examples: [], dropped: reason });

describe("sampling strategies", () => {
  before(async () => {
    for (const entry of (await Registry.read()).list("sampling"))
      plugins.set(entry.name, (await loadPlugin(entry)) as PluginClass<SamplingStrategy>);
  });

  it("margin keeps what is further apart than the gap", async () => {
    assert.deepEqual(await select("margin", { gap: 0.5 }, [0.2, 0.9, 0.3]), made(pair(1, 0)));
    assert.deepEqual(await select("margin", { gap: 0.5 }, [0.5, 1]), dropped("small-gap")); // not above it
    assert.deepEqual(await select("margin", { gap: 0 }, [0.5, 0.5]), dropped("ties"));
  });

  it("margin's quantile is one of all users' gaps", () =>
    using("margin", { gap: 0, quantile: 0.5 }, (strategy) => {
      const users = [[0, 0.1], [0, 0.4], [0.5, 0.5], [0, 0.3], [0, 0.2]].map(samplesOf); // biome-ignore format: one line
      const selections = users.map((samples, user) => ({ user, samples, ...strategy.select(samples, createRng(1)) }));
      const kept = strategy.compare?.(selections).map(({ examples, dropped }) => (examples.length === 1 ? "kept" : dropped));
      assert.deepEqual(kept, ["small-gap", "kept", "ties", "kept", "small-gap"]);
    }));

  it("margin's quantile counts the gaps that are too small as well", () =>
    using("margin", { gap: 0.25, quantile: 0.5 }, (strategy) => {
      const users = [[0, 0.1], [0, 0.2], [0.5, 0.5], [0, 0.3], [0, 0.4]].map(samplesOf); // biome-ignore format: one line
      const selections = users.map((samples, user) => ({ user, samples, ...strategy.select(samples, createRng(1)) }));
      const kept = strategy.compare?.(selections).map(({ examples, dropped }) => (examples.length === 1 ? "kept" : dropped));
      assert.deepEqual(kept, ["small-gap", "small-gap", "ties", "kept", "kept"], "half of the four pairs, not of the two that are left");
    }));

  it("top-bottom-k is the product of the ends", async () => {
    assert.deepEqual(
      await select("top-bottom-k", { k: 2 }, [0.1, 0.9, 0.5, 0.2, 0.8]),
      made(pair(1, 0), pair(1, 3), pair(4, 0), pair(4, 3)),
    );
    assert.deepEqual(await select("top-bottom-k", { k: 2 }, [0.1, 0.9, 0.5]), made(pair(1, 0), pair(1, 2), pair(2, 0)));
    assert.deepEqual(await select("top-bottom-k", { k: 1 }, [0.5, { reward: 0.9, conforms: false }, 0.5]), dropped("ties"));
  });

  it("all-pairs are those with a strict order, so many at most", async () => {
    assert.deepEqual(await select("all-pairs", {}, [0.5, 0.9, 0.5, 0.1]), made(pair(1, 0), pair(1, 2), pair(1, 3), pair(0, 3), pair(2, 3)));
    const many = Array.from({ length: 10 }, (_, i) => i);
    const { examples } = await select("all-pairs", { cap: 7 }, many);
    assert.equal(examples.length, 7);
    assert.equal(new Set(examples.map((example) => JSON.stringify(example))).size, 7);
    assert.notDeepEqual((await select("all-pairs", { cap: 7 }, many, 2)).examples, examples);
    assert.deepEqual((await select("all-pairs", { cap: 7 }, many)).examples, examples);
  });

  it("softmax draws pairs in proportion to exp(gap / T)", () =>
    using("softmax", { gapTemperature: 0.5 }, (strategy) => {
      const counts: Record<string, number> = {};
      const draws = 4000;
      for (let seed = 0; seed < draws; seed++) {
        const [drawn] = strategy.select(samplesOf([0, 0.5, 1]), createRng("draw", seed)).examples;
        const key = `${drawn?.chosen}>${drawn?.rejected}`;
        counts[key] = (counts[key] ?? 0) + 1;
      }
      const total = 2 * Math.E + Math.E ** 2; // gaps 0.5, 0.5, 1
      for (const [key, weight] of [["2>1", Math.E], ["1>0", Math.E], ["2>0", Math.E ** 2]] as const) // biome-ignore format: one line
        assert.ok(Math.abs((counts[key] ?? 0) / draws - weight / total) < 0.03, `${key}: ${counts[key]}`);
    }));

  it("softmax goes over into the widest pair", async () => {
    for (let seed = 0; seed < 20; seed++)
      assert.deepEqual(await select("softmax", { gapTemperature: 1e-3 }, [0.2, 0.9, 0.1, 0.5], seed), made(pair(1, 2)));
  });

  it("multi-negative: the hardest, any, or evenly spaced", async () => {
    const rewards = [0.1, 0.9, 0.8, 0.45, 0.5, 0.9];
    assert.deepEqual(await select("multi-negative", { k: 2 }, rewards), made(pair(1, 2, 4)));
    assert.deepEqual(await select("multi-negative", { k: 3, negatives: "spaced" }, rewards), made(pair(1, 2, 3, 0))); // 0.8, 0.45, 0.1
    assert.deepEqual(await select("multi-negative", { k: 1, negatives: "spaced" }, rewards), made(pair(1, 0)));
    assert.deepEqual(await select("multi-negative", { k: 9 }, rewards), made(pair(1, 2, 4, 3, 0)));
    const drawn = new Set<string>();
    for (let seed = 0; seed < 40; seed++) {
      const [{ chosen, rejected } = pair(0)] = (await select("multi-negative", { k: 2, negatives: "random" }, rewards, seed)).examples;
      assert.equal(chosen, 1);
      const [first, second] = rejected.map((index) => rewards[index] as number);
      assert.ok(rejected.length === 2 && (first as number) > (second as number), "the best of them first");
      drawn.add(rejected.join());
    }
    assert.equal(drawn.size, 6);
  });

  it("rejection takes the best alone, ties or not", async () => {
    assert.deepEqual(await select("rejection", {}, [0.5, { reward: 0.9, conforms: false }, 0.7]), made(pair(2)));
    assert.deepEqual(await select("rejection", {}, [0.5, 0.5]), made(pair(0)));
    assert.deepEqual(await select("rejection", {}, [{ conforms: false }]), dropped("no-conforming"));
  });

  it("self-play and reference-anchor reject the policy's own text, where the best is better", async () => {
    for (const [name, origin] of [
      ["self-play", "previous"],
      ["reference-anchor", "greedy"],
    ] as const) {
      // biome-ignore format: one line
      assert.deepEqual(await select(name, {}, [0.1, 0.9, { reward: 0.3, origin }]), made(pair(1, 2)));
      assert.deepEqual(await select(name, {}, [0.1, 0.3, { reward: 0.9, origin }]), dropped("not-better"));
      assert.deepEqual(await select(name, {}, [0.1, 0.3, { reward: 0.3, origin }]), dropped("not-better"));
      assert.deepEqual(await select(name, {}, [0.1, 0.3]), dropped(`no-${origin}`));
      assert.deepEqual(await select(name, {}, [0.1, { reward: Number.NaN, origin }]), dropped(`no-${origin}`));
      assert.deepEqual(await using(name, {}, ({ needs }) => [...needs]), [origin]);
    }
  });

  describe("crossed", () => {
    /** Another user's text. */
    const text = (of: number, reward: number): Given => ({ reward, of, origin: "partners" });

    it("sets the best sample against every other user's text that is worth less", async () => {
      assert.deepEqual(await select("crossed", {}, [0.5, 0.9, text(7, 0.4), text(8, 0.95), text(9, 0.6)]), made(pair(1, 4), pair(1, 2)));
      assert.deepEqual(await select("crossed", {}, [0.5, text(7, 0.5)]), dropped("not-better"));
      assert.deepEqual(await select("crossed", {}, [0.5, 0.9]), dropped("no-partner"));
      assert.deepEqual(
        await select("crossed", {}, [
          { reward: 0.9, conforms: false },
          { ...(text(7, 0.5) as object), conforms: false },
        ]),
        dropped("no-conforming"),
      );
    });

    it("keeps two users' examples against each other where both gain, the greatest sum first, as many a user as asked for", async () => {
      const kept = (pairs: number) =>
        using("crossed", { pairs }, (strategy) => {
          const users = [
            { user: 10, samples: samplesOf([0.5, 0.8, text(20, 0.7), text(30, 0.2)]) }, // gains .1 with 20, .6 with 30
            { user: 20, samples: samplesOf([0.6, text(10, 0.1), text(30, 0.5)]) }, // .5 with 10, .1 with 30
            { user: 30, samples: samplesOf([0.9, text(10, 0.95), text(20, 0.8), text(40, 0.1)]) }, // its own is worth less than 10's; .1 with 20, .8 with 40
            { user: 40, samples: samplesOf([0.3, text(30, 0.4)]) }, // worth less than 30's
            { user: 50, samples: samplesOf([0.3]) },
          ];
          return strategy.compare?.(users.map((user) => ({ ...user, ...strategy.select(user.samples, createRng(1)) })));
        });
      // 10 and 20: .1 + .5; 20 and 30: .1 + .1, if 20 has room; 10 and 30, 30 and 40: one of the two does not gain
      const others = [dropped("not-better"), dropped("no-partner")];
      assert.deepEqual(await kept(1), [made(pair(1, 2)), made(pair(0, 1)), dropped("not-crossed"), ...others]);
      assert.deepEqual(await kept(2), [made(pair(1, 2)), made(pair(0, 1), pair(0, 2)), made(pair(0, 2)), ...others]);
    });

    it("prefers no text that is worth more to everybody: such rewards do not cross", () =>
      using("crossed", {}, (strategy) => {
        const worth = [0.9, 0.7, 0.4, 0.1];
        const users = worth.map((own, user) => ({
          user,
          samples: samplesOf([own, ...worth.flatMap((other, of) => (of === user ? [] : [text(of, other)]))]),
        }));
        const kept = strategy.compare?.(users.map((user) => ({ ...user, ...strategy.select(user.samples, createRng(1)) })));
        assert.deepEqual(
          kept?.map(({ examples }) => examples.length),
          [0, 0, 0, 0],
        );
      }));

    it("asks for other users' texts", () =>
      using("crossed", { partners: 4 }, ({ needs, partners }) => assert.deepEqual([[...needs], partners], [["partners"], 4])));
  });

  it("ranked-list is the whole order, the first of equals", async () => {
    assert.deepEqual(await select("ranked-list", {}, [0.5, 0.9, 0.1, 0.5, 0.9, Number.NaN]), made(pair(1, 0, 2)));
    assert.deepEqual(await select("ranked-list", {}, [{ reward: 1, conforms: false }, 0.2, 0.4]), made(pair(2, 1)));
    assert.deepEqual(await select("ranked-list", {}, [0.5, 0.5]), dropped("ties"));
  });

  it("length-matched compares texts of like length", async () => {
    const texts = [{ reward: 1, length: 40 }, { reward: 0.8, length: 12 }, { reward: 0.1, length: 10 }, { reward: 0.6, length: 33 }]; // biome-ignore format: one line
    assert.deepEqual(await select("length-matched", { ratio: 1.25 }, texts), made(pair(1, 2))); // gap 0.7; 40 : 33 has 0.4
    assert.deepEqual(await select("length-matched", { ratio: 4 }, texts), made(pair(0, 2)));
    assert.deepEqual(await select("length-matched", { ratio: 1 }, texts), dropped("lengths"));
    assert.deepEqual(
      await select("length-matched", {}, [
        { reward: 1, length: 0 },
        { reward: 0, length: 0 },
      ]),
      made(pair(0, 1)),
    );
  });

  it("never prefer a text that is no better, choose one that does not conform, or leave out why", async () => {
    const text = fc.record({
      text: fc.string(),
      reward: fc.oneof(fc.constantFrom(0, 0.25, 0.5, 1, Number.NaN), fc.double({ min: -5, max: 5 })),
      length: fc.nat(60),
      conforms: fc.boolean(),
      origin: fc.constantFrom("sample" as const, "greedy" as const, "previous" as const, "partners" as const),
    });
    for (const name of plugins.keys())
      await using(name, {}, (strategy) =>
        fc.assert(
          fc.property(fc.array(text, { maxLength: 12 }), fc.nat(1000), (samples, seed) => {
            const { examples, dropped: reason } = strategy.select(samples, createRng(seed));
            assert.equal(reason === null, examples.length > 0, name);
            for (const { chosen, rejected } of examples) {
              const best = samples[chosen] as SampledText;
              assert.ok(best.conforms && !Number.isNaN(best.reward), name);
              assert.equal(new Set([chosen, ...rejected]).size, rejected.length + 1, name);
              const rewards = rejected.map((index) => (samples[index] as SampledText).reward);
              for (const [i, reward] of rewards.entries()) {
                assert.ok(reward < best.reward, name);
                assert.ok(i === 0 || reward <= (rewards[i - 1] as number), `${name}: rejected texts in order`);
              }
            }
          }),
          { numRuns: 200 },
        ),
      );
  });
});
