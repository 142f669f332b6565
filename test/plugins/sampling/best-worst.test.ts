import assert from "node:assert/strict";
import fc from "fast-check";
import type { SampledText } from "../../../framework/contracts/feedback.js";
import { BestWorst } from "../../../plugins/sampling/best-worst.js";

const generation = { temperature: 0.9, topK: 5, topP: 0.8, minP: 0.1, maxTokens: 40, stop: ["\n\n"] };
const strategy = new BestWorst({ samples: 10, ...generation });
const sample = (reward: number, conforms = true): SampledText => ({ text: `text ${reward}`, reward, length: 5, conforms });
const select = (...samples: SampledText[]) => strategy.select(samples);
const dropped = (reason: string) => ({ examples: [], dropped: reason });

describe("best-worst", () => {
  it("says how texts are drawn", () => {
    assert.equal(strategy.samples, 10);
    assert.deepEqual(strategy.generation, generation);
  });

  it("takes the best against the worst, the first of equals", () => {
    assert.deepEqual(select(sample(0.2), sample(0.9), sample(0.1), sample(0.9), sample(0.1)), {
      examples: [{ chosen: 1, rejected: [2] }],
      dropped: null,
    });
  });

  it("chooses only a text that conforms; any may be rejected", () => {
    assert.deepEqual(select(sample(0.9, false), sample(0.5), sample(0.1, false)), {
      examples: [{ chosen: 1, rejected: [2] }],
      dropped: null,
    });
    assert.deepEqual(select(sample(0.9, false), sample(0.1, false)), dropped("no-conforming"));
  });

  it("drops ties, and says why", () => {
    assert.deepEqual(select(sample(0.5), sample(0.5)), dropped("ties"));
    assert.deepEqual(select(sample(0.5)), dropped("ties"));
    assert.deepEqual(select(sample(0.1), sample(0.9, false)), dropped("ties")); // the only one to choose is the worst
  });

  it("leaves out texts without a reward", () => {
    assert.deepEqual(select(sample(Number.NaN), sample(0.3), sample(0.2)), { examples: [{ chosen: 1, rejected: [2] }], dropped: null });
    assert.deepEqual(select(sample(Number.NaN)), dropped("no-reward"));
    assert.deepEqual(select(), dropped("no-reward"));
  });

  it("never pairs against a better text, and does not change what it is given", () => {
    const samples = fc.array(
      fc.record({ text: fc.string(), reward: fc.double({ min: 0, max: 1 }), length: fc.nat(), conforms: fc.boolean() }),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(samples, (drawn) => {
        const before = drawn.map((sample) => ({ ...sample }));
        const { examples, dropped: reason } = strategy.select(drawn);
        assert.deepEqual(drawn.map((sample) => ({ ...sample })), before); // biome-ignore format: one line
        assert.equal(reason === null, examples.length === 1);
        for (const { chosen, rejected } of examples) {
          const [best, worst] = [drawn[chosen], drawn[rejected[0] as number]];
          assert.ok(best?.conforms && worst && best.reward > worst.reward);
          assert.ok(drawn.every(({ reward, conforms }) => !(conforms && reward > best.reward) && !(reward < worst.reward)));
        }
      }),
    );
  });
});
