import assert from "node:assert/strict";
import fc from "fast-check";
import type { PreparedData } from "../../../framework/contracts/dataset.js";
import { promptOf, titleOf } from "../../../framework/method/prompt.js";
import { moviePrompt, movies } from "./data.js";

const text = (user: number, data: PreparedData = movies, prompt = moviePrompt) => promptOf(user, data, prompt)[0]?.content ?? "";

describe("prompt", () => {
  it("says who the viewer is, what the window holds in time order, and what to answer", () => {
    assert.deepEqual(promptOf(0, movies, moviePrompt), [
      {
        role: "user",
        content: [
          "A viewer (aged 24, female, technician) rated these movies from 1 to 5:",
          "Heat (1995), Action, Crime: 5",
          "Clue (1985), Comedy: 4",
          "Fargo (1996), Crime: 4",
          "Jaws (1975), Horror: 1",
          "",
          "Describe the taste of this viewer in exactly these 3 lines, and write nothing else:",
          "Genre: …",
          "Period: …",
          "Avoids: …",
        ].join("\n"),
      },
    ]);
  });

  it("speaks of items in other domains, leaves out what is not known, and keeps half stars", () => {
    const prompt = { ...moviePrompt, template: "items", items: "title", aspects: moviePrompt.aspects.slice(0, 1) } as const;
    assert.equal(
      text(1, movies, prompt),
      [
        "A user rated these items from 1 to 5:",
        "Hidden Gem (1999): 3",
        "Solo (2001): 1.5",
        "",
        "Describe the taste of this user in exactly this line, and write nothing else:",
        "Genre: …",
      ].join("\n"),
    );
  });

  it("writes a year once", () => {
    assert.equal(titleOf({ id: "1", title: "Solo (2001)", fields: { year: 2001 } }), "Solo (2001)");
    assert.equal(titleOf({ id: "1", title: "Solo", fields: {} }), "Solo");
  });

  it("does not depend on anything after the window", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ item: fc.integer({ min: 1, max: 6 }), rating: fc.integer({ min: 1, max: 5 }) }), {
          minLength: 2,
          maxLength: 2,
        }),
        (later) => {
          const items = movies.sequence.items.slice();
          const ratings = movies.sequence.ratings.slice();
          for (const [i, { item, rating }] of later.entries()) {
            items[4 + i] = item;
            ratings[4 + i] = rating;
          }
          assert.equal(text(0, { ...movies, sequence: { ...movies.sequence, items, ratings } }), text(0));
        },
      ),
    );
  });

  it("gives every title of the window one line, whatever is in it", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (title) => {
        const items = movies.items.map((item) => (item.id === "m1" ? { ...item, title } : item));
        assert.equal(text(0, { ...movies, items }).split(/[\n\r\u0085\u2028\u2029]/u).length, text(0).split("\n").length);
      }),
    );
  });
});
