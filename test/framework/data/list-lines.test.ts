import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { listLines } from "../../../framework/data/list-lines.js";
import { prepare } from "../../../framework/data/prepare.js";
import { packageRoot } from "../../../framework/setup/paths.js";
import { datasetOf, protocolOf, simpleInteractions } from "../../support/dataset.js";

describe("lines of rlrf lists", () => {
  const dataset = datasetOf(simpleInteractions(30, 11, 50));
  const valid = new Ajv2020().compile(JSON.parse(readFileSync(join(packageRoot, "registry", "lists.schema.json"), "utf8")));

  it("say whose list it is, what a prompt and the encoder may see, and the candidates with their labels", async () => {
    const data = await prepare(dataset, protocolOf({ folds: 3, align: 0.4 }), { folds: 2 });
    const lines = [...listLines(data, 4)];
    assert.equal(lines.length, data.lists.count);
    // User 1 has the items 1, 6, 11, …, 51 - 50 = 1 again: the 11th interaction is a repeat.
    const own = lines.filter(({ user }) => user === "1");
    assert.deepEqual(own[0]?.window, ["1", "6", "11"]);
    assert.deepEqual(
      own.map(({ history }) => history),
      [
        ["1", "6", "11"],
        ["6", "11", "16", "21"],
        ["16", "21", "26", "31"],
        ["26", "31", "36", "41"],
      ],
    );
    assert.ok(own[0]?.candidates.includes("16") && own[0]?.candidates.includes("21"));
    // Ratings go 1 to 5 in turn: items 16 and 21 have 4 and 5.
    assert.deepEqual(own[0]?.candidates.filter((_, slot) => own[0]?.labels[slot] === 1).sort(), ["16", "21"]);
    for (const line of lines) {
      assert.ok(valid(line), JSON.stringify(valid.errors));
      assert.ok(line.part === "align" ? line.fold === null : line.part === "evaluate" && typeof line.fold === "number");
    }
  });

  it("name train, valid and test users under a split", async () => {
    const lines = [...listLines(await prepare(dataset, protocolOf(), { folds: 2 }), 4)];
    assert.deepEqual([...new Set(lines.map(({ part }) => part))].sort(), ["test", "train", "valid"]);
    for (const line of lines) assert.ok(valid(line), JSON.stringify(valid.errors));
  });
});
