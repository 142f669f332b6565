import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { digestOf, loadPrepared, prepare, savePrepared } from "../../../framework/data/prepare.js";
import { coded, datasetOf, inTemporaryFolder, protocolOf, simpleInteractions } from "../../support/dataset.js";

describe("prepared data in a folder", () => {
  const dataset = datasetOf(simpleInteractions(30, 11, 50), {
    items: [{ id: "1", title: "Amélie \u2028 “x”", fields: { genres: ["Comedy"] } }],
    users: [{ id: "1", fields: { age: 24 } }],
  });

  for (const [name, overrides] of Object.entries({ split: {}, folds: { folds: 3, align: 0.4 } }))
    it(`comes back as it was (${name})`, async () =>
      inTemporaryFolder(async (folder) => {
        const data = await prepare(dataset, protocolOf(overrides), { folds: 2 });
        await savePrepared(folder, data);
        const loaded = await loadPrepared(folder);
        assert.deepEqual(loaded, data);
        assert.equal(digestOf(loaded), digestOf(data));
      }));

  it("has a digest that changes with a label, a title and a part", async () => {
    const data = await prepare(dataset, protocolOf(), { folds: 2 });
    const labels = data.lists.labels.slice();
    labels[0] = 1 - (labels[0] as number);
    const items = data.items.map((item, i) => (i === 3 ? { ...item, title: "other" } : item));
    const digests = [
      digestOf(data),
      digestOf({ ...data, lists: { ...data.lists, labels } }),
      digestOf({ ...data, items }),
      digestOf({ ...data, parts: { ...data.parts, align: data.parts.align.slice(1) } }),
    ];
    assert.equal(new Set(digests).size, 4);
  });

  it("does not believe broken files", async () =>
    inTemporaryFolder(async (folder) => {
      await savePrepared(folder, await prepare(dataset, protocolOf(), { folds: 2 }));
      await writeFile(join(folder, "prepared.safetensors"), "not tensors");
      await assert.rejects(loadPrepared(folder), coded("RLRF_TENSORS_BROKEN"));
    }));
});
