import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import fc from "fast-check";
import { cellsSql, type Delimiting, splitCells } from "../../../framework/data/cells.js";
import { quoted } from "../../../framework/data/database.js";
import { readRows } from "../../../framework/data/delimited.js";
import { inTemporaryFolder } from "../../support/dataset.js";

const comma: Delimiting = { separator: ",", quotes: "double" };
const mysql: Delimiting = { separator: ";", quotes: "backslash" };

describe("cells of delimited lines", () => {
  it("splits by hand-made examples", () => {
    const cases: readonly (readonly [string, Delimiting, readonly string[] | null | "open"])[] = [
      ["a::b::", { separator: "::" }, ["a", "b", ""]],
      ['a,"b', { separator: "," }, ["a", '"b']],
      [',a,"b,c",', comma, ["", "a", "b,c", ""]],
      ['"say ""hi""",""', comma, ['say "hi"', ""]],
      ['"a"b,c', comma, null],
      ['a"b,c', comma, null],
      ['a,"b,c', comma, "open"],
      ['"a\\";b";"c\\\\"', mysql, ['a";b', "c\\"]],
      ['"a";NULL', mysql, ["a", "NULL"]],
      ['a|"b|c"', { separator: "|", quotes: "double" }, ["a", "b|c"]],
    ];
    for (const [text, form, expected] of cases) assert.deepEqual(splitCells(text, form), expected, text);
  });

  it("gives back the cells that were written", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: fc.constantFrom("a", ",", '"', "\n", " ", "é") }), { minLength: 1 }), (cells) => {
        const text = cells.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(",");
        assert.deepEqual(splitCells(text, comma), cells);
      }),
    );
  });

  it("are the same in SQL", async () => {
    const connection = await (await DuckDBInstance.create(":memory:")).connect();
    const letters = (form: Delimiting) =>
      fc.string({ unit: fc.constantFrom("a", "b", form.separator, '"', "\\", " ", "é"), maxLength: 12 });
    for (const form of [comma, mysql, { separator: "|", quotes: "double" } as const, { separator: "::" }])
      await fc.assert(
        fc.asyncProperty(letters(form), async (text) => {
          const reader = await connection.runAndReadAll(`SELECT ${cellsSql("text", form)} AS cells FROM (SELECT ${quoted(text)} AS text)`);
          const [row] = reader.getRowObjectsJson() as { readonly cells: string[] | null }[];
          const cells = splitCells(text, form);
          assert.deepEqual(row?.cells, cells === "open" ? null : cells, JSON.stringify(text));
        }),
        { numRuns: 150 },
      );
    connection.closeSync();
  });

  it("go over lines; a quote that is never closed makes its own line bad alone", async () =>
    inTemporaryFolder(async (folder) => {
      const path = join(folder, "x.csv");
      const file = { path, encoding: "utf-8", separator: ",", quotes: "double", skip: 0, width: 2 } as const;
      const rows = async (text: string) => {
        await writeFile(path, text);
        return readRows(file, "skip", ({ line, cells }) => ({ line, cells }));
      };
      assert.deepEqual(await rows('a,"b\n\nc"\nd,e\n'), {
        rows: [
          { line: 1, cells: ["a", "b\n\nc"] },
          { line: 4, cells: ["d", "e"] },
        ],
        bad: 0,
      });
      const many = Array.from({ length: 300 }, (_, i) => `x${i},y\n`).join("");
      const { rows: kept, bad } = await rows(`a,"b\n${many}`);
      assert.deepEqual([kept.length, bad, kept[0]?.line, kept[299]?.line], [300, 1, 2, 301]);
    }));
});
