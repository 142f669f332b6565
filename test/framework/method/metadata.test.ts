import assert from "node:assert/strict";
import fc from "fast-check";
import { metadataText } from "../../../framework/method/metadata.js";
import { parseStructure } from "../../../framework/method/structure.js";
import { moviePrompt, movies } from "./data.js";

describe("metadata", () => {
  it("answers from the window alone: an item's genres share its weight, ties are alphabetical, years are decades", () => {
    // liked: Heat (Action 1/2, Crime 1/2), Clue (Comedy 1), Fargo (Crime 1): Crime 1.5, Comedy 1, Action 0.5
    assert.equal(metadataText(0, movies, moviePrompt), "Genre: Crime, Comedy, Action\nPeriod: 1990s\nAvoids: Horror");
  });

  it("says so where there is nothing to answer from", () => {
    const text = metadataText(1, movies, moviePrompt);
    assert.equal(text, "Genre: nothing in particular\nPeriod: nothing in particular\nAvoids: Drama");
  });

  it("keeps the structure whatever was liked", () => {
    const names = moviePrompt.aspects.map(({ name }) => name);
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 8, maxLength: 8, max: 1 }), fc.integer({ min: 0, max: 1 }), (relevant, user) => {
        const text = metadataText(user, { ...movies, sequence: { ...movies.sequence, relevant } }, moviePrompt);
        const parsed = parseStructure(text, names);
        assert.equal(parsed.conforms, true);
        assert.equal(parsed.canonical, text);
      }),
    );
  });

  it("does not see what comes after the window", () => {
    const relevant = movies.sequence.relevant.map((label, at) => (at >= 4 && at < 6 ? 1 - label : label));
    assert.equal(
      metadataText(0, { ...movies, sequence: { ...movies.sequence, relevant } }, moviePrompt),
      metadataText(0, movies, moviePrompt),
    );
  });
});
