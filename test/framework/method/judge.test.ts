import assert from "node:assert/strict";
import type { UserSample } from "../../../framework/method/infer.js";
import { distinct2, divergence, verdictOf } from "../../../framework/method/judge.js";
import type { Study, TuningParts } from "../../../framework/method/study.js";
import { type StepIdentity, stepKey } from "../../../framework/store/store.js";

const better = { mean: 0.02, low: -0.01, high: 0.05 };
const worse = { mean: -0.001, low: -0.01, high: 0.01 };
const gated = { accept: "if-better", structure: "gate", structureFloor: 0.9 } as const;

describe("what accepts an iteration", () => {
  it("keeps one whose held-out reward rises while the structure stands", () => {
    assert.deepEqual(verdictOf(gated, better, 0.98, 0.9), { accepted: true, gain: better, conforming: 0.9, reason: null });
  });

  it("rejects a falling reward, and says by how much", () => {
    const { accepted, reason } = verdictOf(gated, worse, 0.98, 0.98);
    assert.equal(accepted, false);
    assert.match(reason ?? "", /-0\.0010 \(-0\.0100 to 0\.0100\)/);
  });

  it("rejects a reward that is paid for with the structure: 0.88 is less than 0.9 of 0.98", () => {
    const { accepted, reason } = verdictOf(gated, better, 0.98, 0.88);
    assert.equal(accepted, false);
    assert.match(reason ?? "", /98% to 88%/);
  });

  it("names both reasons where there are two", () => {
    assert.match(verdictOf(gated, worse, 0.98, 0.2).reason ?? "", /reward changed .* and texts in the asked structure fell/);
  });

  it("looks at the structure only where it is a gate, and at nothing where everything is accepted", () => {
    assert.equal(verdictOf({ ...gated, structure: "reward" }, better, 0.98, 0.2).accepted, true);
    assert.equal(verdictOf({ ...gated, structure: "off" }, worse, 0.98, 0.98).accepted, false);
    assert.equal(verdictOf({ ...gated, accept: "always" }, worse, 0.98, 0.2).accepted, true);
  });
});

describe("the key of the divergence", () => {
  const said = (more: Partial<UserSample> = {}) => [[{ user: 0, text: "Genre: Drama", finished: true, ...more } as UserSample]];

  async function keyOf({ texts = said(), items = "title", dataKey = "data" }): Promise<string> {
    let asked: StepIdentity | undefined;
    const step = (identity: StepIdentity) => {
      asked = identity;
      return Promise.reject(new Error("only its key is wanted"));
    };
    const study = { data: {}, dataKey, spec: { prompt: { items } }, context: { store: { step } }, identityOf: () => "llm" };
    await assert.rejects(divergence(study as unknown as Study, {} as TuningParts, texts, {}), /only its key/);
    assert.ok(asked);
    return stepKey(asked);
  }

  it("names all that log-probs follow from: the prompt of a text, and whether its end was written, too", async () => {
    assert.equal(await keyOf({}), await keyOf({ texts: said() }));
    const others = [
      { texts: said({ text: "Genre: Horror" }) },
      { texts: said({ finished: false }) },
      { items: "title+genres" },
      { dataKey: "others" },
    ];
    const keys = await Promise.all([{}, ...others].map(keyOf));
    assert.equal(new Set(keys).size, keys.length);
  });
});

describe("distinct-2", () => {
  it("is the share of word bigrams that are distinct: of a b, b a, a b two of three", () => {
    assert.equal(distinct2(["a b a b"]), 2 / 3);
    assert.equal(distinct2(["", "a"]), 0);
  });
});
