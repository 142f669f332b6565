import assert from "node:assert/strict";
import fc from "fast-check";
import { TokenSampler } from "../../../framework/language-model/sampler.js";
import { createRng } from "../../../framework/rng.js";

const off = { topK: 0, topP: 1, minP: 0 };

/** Tokens that a sampler can draw, by asking it over a fine grid of the unit interval. */
function support(probabilities: readonly number[], filters: Partial<typeof off>): number[] {
  const sampler = new TokenSampler(probabilities.length, { ...off, ...filters });
  const values = Float32Array.from(probabilities);
  return [...new Set(Array.from({ length: 2000 }, (_, i) => sampler.pick(values, 0, i / 2000)))].sort((a, b) => a - b);
}

/** The filters by their definition: sort everything, then cut. */
function supportByDefinition(probabilities: readonly number[], { topK, topP, minP }: typeof off): number[] {
  let kept = probabilities.map((p, token) => ({ p: Math.fround(p), token })).sort((a, b) => b.p - a.p || a.token - b.token);
  if (topK > 0) kept = kept.slice(0, topK);
  const total = kept.reduce((sum, { p }) => sum + p, 0);
  const heldBefore = (index: number) => kept.slice(0, index).reduce((sum, { p }) => sum + p, 0);
  if (topP < 1) kept = kept.filter((_, index) => heldBefore(index) < topP * total);
  const best = kept[0]?.p ?? 0;
  return kept.filter(({ p }) => p >= minP * best).map(({ token }) => token).sort((a, b) => a - b); // biome-ignore format: one chain
}

describe("token sampler", () => {
  it("draws by probability", () => {
    const rng = createRng(1);
    const probabilities = Float32Array.of(0.1, 0, 0.6, 0.3);
    for (const filters of [off, { ...off, topK: 4 }, { ...off, topP: 0.999 }, { ...off, minP: 0.01 }]) {
      const sampler = new TokenSampler(4, filters);
      const counts = [0, 0, 0, 0];
      for (let i = 0; i < 20_000; i++) {
        const token = sampler.pick(probabilities, 0, rng.uniform());
        counts[token] = (counts[token] ?? 0) + 1;
      }
      for (const [token, count] of counts.entries())
        assert.ok(Math.abs(count / 20_000 - (probabilities[token] as number)) < 0.015, `${counts} under ${JSON.stringify(filters)}`);
    }
  });

  it("reads the row it is asked for", () => {
    const sampler = new TokenSampler(2, off);
    assert.equal(sampler.pick(Float32Array.of(1, 0, 0, 1), 1, 0.3), 1);
  });

  it("cuts by hand-computed filters", () => {
    const probabilities = [0.05, 0.4, 0.2, 0.3, 0.05];
    assert.deepEqual(support(probabilities, {}), [0, 1, 2, 3, 4]);
    assert.deepEqual(support(probabilities, { topK: 2 }), [1, 3]);
    assert.deepEqual(support(probabilities, { topP: 0.65 }), [1, 3]);
    assert.deepEqual(support(probabilities, { topP: 0.75 }), [1, 2, 3]);
    assert.deepEqual(support(probabilities, { minP: 0.5 }), [1, 2, 3]);
    assert.deepEqual(support(probabilities, { topK: 3, topP: 0.4 }), [1]); // 0.4 of the 0.9 that the three hold
    assert.deepEqual(support(probabilities, { topK: 1 }), [1]);
  });

  it("agrees with the filters' definition", () => {
    const distribution = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 12 });
    const filters = fc.record({
      topK: fc.integer({ min: 0, max: 13 }),
      topP: fc.constantFrom(0.13, 0.37, 0.61, 0.93, 1),
      minP: fc.constantFrom(0, 0.11, 0.43, 0.97),
    });
    fc.assert(
      fc.property(distribution, filters, (weights, chosen) => {
        const total = weights.reduce((a, b) => a + b, 0);
        const probabilities = weights.map((weight) => weight / total);
        assert.deepEqual(support(probabilities, chosen), supportByDefinition(probabilities, chosen));
      }),
      { numRuns: 300 },
    );
  });

  it("never draws what has no probability, at either end of the unit interval", () => {
    for (const filters of [off, { ...off, topK: 2 }, { ...off, topP: 0.9 }, { ...off, minP: 0.1 }]) {
      const sampler = new TokenSampler(4, filters);
      for (const uniform of [0, 1 - 2 ** -53]) assert.ok([1, 2].includes(sampler.pick(Float32Array.of(0, 0.5, 0.5, 0), 0, uniform)));
    }
  });
});
