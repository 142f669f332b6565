import assert from "node:assert/strict";
import type { SamplingStrategy } from "../../../framework/contracts/feedback.js";
import { pairTexts, type ScoredSample } from "../../../framework/method/pairs.js";
import type { Alignment } from "../../../framework/spec/types.js";

const strategy: SamplingStrategy = {
  samples: 4,
  generation: { temperature: 1, topK: 0, topP: 1, minP: 0, maxTokens: 16, stop: [] },
  needs: [],
  rejected: 1,
  select(samples) {
    const rewards = samples.map((sample) => sample.reward);
    const best = rewards.indexOf(Math.max(...rewards));
    const worst = rewards.indexOf(Math.min(...rewards));
    if (samples.length < 2 || rewards[best] === rewards[worst]) return { examples: [], dropped: samples.length < 2 ? "too few" : "ties" };
    return { examples: [{ chosen: best, rejected: [worst] }], dropped: null };
  },
};

function sample(text: string, reward: number, structured = true, finished = true): ScoredSample {
  return { text, reward, length: text.length, conforms: structured && finished, structured, finished, structureRate: structured ? 1 : 0.5 };
}

function alignment(structure: Alignment["structure"], structureShare = 0.5): Alignment {
  return { structure, structureShare, structureWeight: 0.5 } as Alignment;
}

describe("pairs of sampled texts", () => {
  it("keeps the structure on both sides of a reward pair under the gate", () => {
    const texts = [
      sample("best but broken", 0.9, false),
      sample("good", 0.7),
      sample("bad", 0.3),
      sample("worst but cut", 0.1, true, false),
    ];
    const { pairs } = pairTexts(new Map([[3, texts]]), strategy, alignment("gate", 0), 1);
    assert.deepEqual(
      pairs.map(({ user, teaches, chosen, rejected }) => [user, teaches, chosen.text, rejected.map((text) => text.text)]),
      [[3, "reward", "good", ["bad"]]],
    );
  });

  it("teaches the structure by pairs of its own: never against the reward, never more than their share", () => {
    const users = new Map(
      Array.from(
        { length: 10 },
        (_, user) => [user, [sample("kept", 0.6), sample("kept too", 0.5), sample("broken", 0.2, false)]] as const,
      ),
    );
    const { pairs, counts } = pairTexts(users, strategy, alignment("gate", 0.2), 1);
    const structure = pairs.filter((pair) => pair.teaches === "structure");
    assert.equal(counts["reward pairs"], 10);
    assert.equal(structure.length, 2); // 2 of 12 is at most a fifth, 3 of 13 is more
    for (const { chosen, rejected } of structure) {
      assert.ok(chosen.structured && chosen.reward >= 0.5);
      assert.ok(rejected.every((text) => !text.structured && text.reward <= chosen.reward));
    }
  });

  it("makes no structure pair of a broken text that scores better", () => {
    const texts = [sample("kept", 0.4), sample("kept too", 0.3), sample("broken", 0.8, false)];
    const { pairs } = pairTexts(new Map([[0, texts]]), strategy, alignment("gate"), 1);
    assert.deepEqual(
      pairs.map((pair) => pair.teaches),
      ["reward"],
    );
  });

  it("counts users whose texts all score the same, and users without a reward", () => {
    const same = [sample("a", 0.5), sample("b", 0.5)];
    const none = [sample("a", Number.NaN), sample("b", Number.NaN)];
    const { pairs, counts } = pairTexts(
      new Map([
        [0, same],
        [1, none],
      ]),
      strategy,
      alignment("gate"),
      1,
    );
    assert.equal(pairs.length, 0);
    assert.equal(counts["dropped: ties"], 1);
    assert.equal(counts["dropped: too few"], 1);
  });

  it("lets anything be rejected without the gate, but marks a text that was cut as not to be chosen", () => {
    const texts = [sample("cut", 0.9, true, false), sample("broken", 0.1, false), sample("kept", 0.5)];
    let seen: readonly boolean[] = [];
    const looking: SamplingStrategy = {
      ...strategy,
      select(samples) {
        seen = samples.map((text) => text.conforms);
        return { examples: [], dropped: null };
      },
    };
    pairTexts(new Map([[0, texts]]), looking, alignment("off"), 1);
    assert.deepEqual(seen, [false, true, true]);
  });

  it("leaves the policies' own texts to the strategy alone, and lets it compare users", () => {
    const own = { ...sample("own", 0.55, false), origin: "greedy" as const };
    const seen: string[][] = [];
    const comparing: SamplingStrategy = {
      ...strategy,
      needs: ["greedy"],
      select(samples, rng) {
        seen.push(samples.map(({ text }) => text));
        return strategy.select(samples, rng);
      },
      compare: (selections) =>
        selections.map(({ samples, examples, dropped }) =>
          samples.some(({ text }) => text === "a") ? { examples: [], dropped: "small-gap" } : { examples, dropped },
        ),
    };
    const users = new Map([
      [1, [sample("a", 0.9), sample("b", 0.1), own]],
      [2, [sample("c", 0.9), sample("d", 0.1), { ...own, reward: 0.05 }]],
    ]);
    const off = pairTexts(users, comparing, alignment("off"), 1);
    assert.deepEqual(seen, [["a", "b", "own"], ["c", "d", "own"]]); // biome-ignore format: one line
    assert.deepEqual(off.pairs.map(({ rejected }) => rejected[0]?.text), ["own"]); // biome-ignore format: one line
    assert.equal(off.counts["dropped: small-gap"], 1);
    const gated = pairTexts(users, { ...comparing, compare: (selections) => selections }, alignment("gate", 0.5), 1);
    assert.equal(gated.counts["structure pairs"], 0, "no structure pair is made of a text that was not sampled");
  });
});
