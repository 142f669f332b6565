import assert from "node:assert/strict";
import type { PreparedData } from "../../../framework/contracts/dataset.js";
import { inventedDialogues } from "../../../framework/method/corpus.js";
import { hashOf } from "../../../framework/store/hash.js";
import { moviePrompt, movies } from "./data.js";

describe("dialogues of invented readers", () => {
  it("are invented when they are first asked for, and once", () => {
    let asked = 0;
    const data: PreparedData = {
      ...movies,
      get items() {
        asked++;
        return movies.items;
      },
    };
    const corpus = inventedDialogues(data, moviePrompt, 5, 1, 3);
    assert.equal(asked, 0);
    const { dialogues } = corpus;
    assert.equal(dialogues.length, 5);
    assert.equal(corpus.dialogues, dialogues);
  });

  it("are the same ones as ever: models that were trained on them are found again", () => {
    const two = [...moviePrompt.aspects, { name: "Other", from: "genres", of: "liked", top: 1 } as const];
    const written = [moviePrompt, { ...moviePrompt, aspects: two }].map((prompt) => {
      const { dialogues } = inventedDialogues(movies, prompt, 200, 7, 3);
      return hashOf(dialogues.map(({ completion }) => completion)).slice(0, 16);
    });
    assert.deepEqual(written, ["3c5e55fb5129d788", "5f010012deec8544"]);
  });
});
