import assert from "node:assert/strict";
import fc from "fast-check";
import { parseStructure, writeStructure } from "../../../framework/method/structure.js";

const aspects = ["Genre", "Period", "Avoids"];
const parse = (text: string) => parseStructure(text, aspects);

describe("structure", () => {
  it("reads an answer that keeps the structure", () => {
    assert.deepEqual(parse("Genre: Drama, Comedy\nPeriod: 1990s\nAvoids: Horror"), {
      values: { Genre: "Drama, Comedy", Period: "1990s", Avoids: "Horror" },
      missing: [],
      repeated: [],
      empty: [],
      invented: [],
      structureRate: 1,
      conforms: true,
      canonical: "Genre: Drama, Comedy\nPeriod: 1990s\nAvoids: Horror",
    });
  });

  it("does not mind case, spaces, emphasis, bullets, order or blank lines", () => {
    const parsed = parse("\r\n- **Avoids:**  Horror \r\n\r\nGENRE :Drama\tand  Comedy\n*Period*: 1990s\n");
    assert.equal(parsed.canonical, "Genre: Drama and Comedy\nPeriod: 1990s\nAvoids: Horror");
    assert.equal(parsed.conforms, true);
  });

  it("says what is missing, repeated, empty and invented", () => {
    const parsed = parse("Sure!\nGenre: Drama\nGenre: Comedy\nPeriod: …\nMood: dark");
    assert.deepEqual(parsed.missing, ["Avoids"]);
    assert.deepEqual(parsed.repeated, ["Genre"]);
    assert.deepEqual(parsed.empty, ["Period"]);
    assert.deepEqual(parsed.invented, ["Sure!", "Mood"]);
    assert.equal(parsed.structureRate, 0);
    assert.equal(parsed.conforms, false);
    assert.equal(parsed.canonical, "Genre: Drama");
  });

  it("does not let a second block, or anything after the last aspect, pass", () => {
    const block = "Genre: Drama\nPeriod: 1990s\nAvoids: Action";
    assert.equal(parse(`${block}\n${block}`).conforms, false);
    assert.equal(parse(`${block}\n${block}`).structureRate, 0);
    assert.equal(parse(`${block}\nI hope this helps`).conforms, false);
    assert.equal(parse(`${block}\nI hope this helps`).structureRate, 1);
  });

  it("counts the share of aspects answered exactly once", () => {
    assert.equal(parse("Genre: Drama\nPeriod: 1990s").structureRate, 2 / 3);
    assert.equal(parse("").structureRate, 0);
  });

  it("knows no names of objects' own making", () => {
    assert.deepEqual(parse("constructor: x\n__proto__: y").values, {});
    assert.equal(parseStructure("toString: x", ["toString"]).values.toString, "x");
  });

  const line = fc
    .tuple(
      fc.constantFrom(...aspects, "genre ", "**Period", "Mood", "", "__proto__"),
      fc.constantFrom(":", " :", ": ", ""),
      fc.string({ unit: "binary" }),
    )
    .map((parts) => parts.join(""));
  const anyText = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.array(line).map((lines) => lines.join("\n")),
  );

  it("never throws, and its canonical form is a fixed point", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const parsed = parse(text);
        assert.ok(parsed.structureRate >= 0 && parsed.structureRate <= 1);
        assert.equal(parsed.canonical, writeStructure(parsed.values, aspects));
        const again = parse(parsed.canonical);
        assert.deepEqual(again.values, parsed.values);
        assert.equal(again.canonical, parsed.canonical);
        assert.deepEqual([again.invented, again.repeated, again.empty], [[], [], []]);
      }),
      { numRuns: 500 },
    );
  });

  it("calls exactly those texts conforming that answer each aspect once and hold nothing else", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const { conforms, missing, repeated, empty, invented } = parse(text);
        assert.equal(
          conforms,
          [missing, repeated, empty, invented].every((faults) => faults.length === 0),
        );
      }),
    );
  });
});
