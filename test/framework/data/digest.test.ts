import assert from "node:assert/strict";
import { digestOf, prepare } from "../../../framework/data/prepare.js";
import { datasetOf, protocolOf, simpleInteractions } from "../../support/dataset.js";

describe("the digest of prepared data", () => {
  const dataset = datasetOf(simpleInteractions(30, 11, 50), {
    items: [{ id: "1", title: "Amélie \u2028 “x”", fields: { genres: ["Comedy"] } }],
    users: [{ id: "1", fields: { age: 24 } }],
  });

  it("changes with a label, a title, a part and a fold, and not with the reward's rounds", async () => {
    const data = await prepare(dataset, protocolOf({ folds: 3, align: 0.4 }), { folds: 2 });
    const labels = data.lists.labels.slice();
    labels[0] = 1 - (labels[0] as number);
    const items = data.items.map((item, i) => (i === 3 ? { ...item, title: "other" } : item));
    const { parts } = data;
    const digests = [
      digestOf(data),
      digestOf({ ...data, lists: { ...data.lists, labels } }),
      digestOf({ ...data, items }),
      digestOf({ ...data, parts: { ...parts, align: parts.align.slice(1) } }),
      digestOf({ ...data, parts: { ...parts, evaluate: parts.evaluate.slice(1) } }),
    ];
    assert.equal(new Set(digests).size, 5);
    assert.ok(parts.reward.length > 0);
    assert.equal(digestOf({ ...data, parts: { ...parts, reward: [] } }), digests[0]);
  });
});
