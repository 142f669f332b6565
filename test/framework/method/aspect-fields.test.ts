import { fieldNames, mustHaveFields } from "../../../framework/method/aspect-fields.js";
import assert from "node:assert/strict";
import type { Spec } from "../../../framework/spec/types.js";
import { coded } from "../../support/dataset.js";
import { moviePrompt, movies } from "./data.js";

describe("aspect fields", () => {
  const aspect = (name: string, from: string) => ({ name, from, of: "liked", top: 3 }) as const;
  const specOf = (more: object) => ({ prompt: moviePrompt, arms: ["llm"], ...more }) as unknown as Spec;
  const misspelt = { prompt: { ...moviePrompt, aspects: [aspect("Genre", "genre"), aspect("Period", "year"), aspect("Mood", "mood")] } };
  const llm = { llm: { plugin: "causal-lm" } };

  it("names the fields of which some item has a value", () => {
    const items = [...movies.items, { id: "m7", title: "Bare", fields: { country: null, tags: [], crew: "" } }];
    assert.deepEqual(fieldNames(items), ["genres", "period", "year"]);
  });

  it("refuses aspects that the template would have nothing to answer from, with the fields that there are", () => {
    const fault = coded("RLRF_DATA_FIELDS", "no item has a field genre or mood", "Genre and Mood", "/prompt/aspects/0/from, /prompt/aspects/2/from", "genres, period, year", 'did you mean "genres"?'); // biome-ignore format: one fault
    assert.throws(() => mustHaveFields(movies.items, specOf(misspelt)), fault);
    mustHaveFields(movies.items, specOf({}));
    assert.throws(
      () => mustHaveFields([{ id: "m1", title: "Heat", fields: {} }], specOf({})),
      coded("RLRF_DATA_FIELDS", "genres or year", "these have none"),
    );
  });

  it("asks for them only where the template is heard or learnt from", () => {
    const tuned = (alignment: object) => specOf({ ...misspelt, ...llm, alignment: { warmup: null, hears: "policy", ...alignment } });
    mustHaveFields(movies.items, specOf({ ...misspelt, ...llm }));
    mustHaveFields(movies.items, tuned({}));
    const learns = true;
    const fault = coded("RLRF_DATA_FIELDS");
    assert.throws(() => mustHaveFields(movies.items, specOf({ ...misspelt, ...llm }), learns), fault);
    assert.throws(() => mustHaveFields(movies.items, specOf({ ...misspelt, ...llm, arms: ["llm", "metadata"] })), fault);
    assert.throws(() => mustHaveFields(movies.items, tuned({ warmup: { epochs: 1 } })), fault);
    assert.throws(() => mustHaveFields(movies.items, tuned({ hears: "template" })), fault);
  });
});
