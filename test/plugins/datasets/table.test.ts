import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { DuckDBInstance } from "@duckdb/node-api";
import type { PreparedData } from "../../../framework/contracts/dataset.js";
import { readInteractions } from "../../../framework/data/interactions.js";
import { prepare } from "../../../framework/data/prepare.js";
import { Registry } from "../../../framework/kernel/registry.js";
import { resolveReference } from "../../../framework/spec/resolve.js";
import { Table } from "../../../plugins/datasets/table.js";
import { coded, inTemporaryFolder, protocolOf } from "../../support/dataset.js";

type Files = Readonly<Record<string, string | Buffer>>;

const registry = Registry.of([Table]);
/** With the defaults of the schema. */
const table = (options: object) =>
  new Table(
    resolveReference(registry, "dataset", { plugin: "table", options }).options as unknown as ConstructorParameters<typeof Table>[0],
  );

/** Five users, five ratings each of twelve items. */
const rated = Array.from({ length: 25 }, (_, i) => {
  const user = Math.floor(i / 5);
  return { user_id: `u${user}`, item_id: `i, "${(user * 2 + i) % 12}"`, rating: (i % 5) + 1, timestamp: 1_400_000_000 + i };
});
const things = [
  { item_id: 'i, "0"', title: "Öl; fein", genres: ["Drama", "War"], year: 1994, code: "007" },
  { item_id: 'i, "1"', title: "Two\nlines", genres: [], year: 2001, code: "12a" },
];
const people = [{ user_id: "u0", age: 24, note: "" }];

/** As RFC 4180 has it: quoted where it must be, quotes doubled. */
function csv(rows: readonly object[], separator = ","): string {
  const cell = (value: unknown) => {
    const text = Array.isArray(value) ? value.join("|") : String(value);
    return new RegExp(`["\\n${separator}]`).test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [Object.keys(rows[0] ?? {}), ...rows.map(Object.values)].map((cells) => `${cells.map(cell).join(separator)}\n`).join("");
}
const lines = (rows: readonly object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join("");
const all = { interactions: rated, items: things, users: people };
const filesOf = (ending: string, write: (rows: readonly object[]) => string | Buffer): Files =>
  Object.fromEntries(Object.entries(all).map(([name, rows]) => [`${name}.${ending}`, write(rows)]));

async function write(folder: string, files: Files): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
}
async function read(files: Files, ending: string, options: object = {}): Promise<PreparedData> {
  return inTemporaryFolder(async (folder) => {
    await write(folder, files);
    const paths = Object.fromEntries(
      Object.keys(all).flatMap((name) => (`${name}.${ending}` in files ? [[name, join(folder, `${name}.${ending}`)]] : [])),
    );
    return prepare(table({ ...paths, ...options }), protocolOf(), { folds: 0 });
  });
}
const genres = { lists: { genres: "|" } };

describe("dataset/table", () => {
  function sameAsWritten({ counts, items, users, sequence }: PreparedData): void {
    assert.deepEqual([counts.interactions, counts.badInteractions, counts.badItems, counts.badUsers], [25, 0, 0, 0]);
    for (const [number, { id }] of users.entries()) {
      const own = rated.filter((row) => row.user_id === id);
      const range = [sequence.offsets[number], sequence.offsets[number + 1]] as const;
      assert.deepEqual(
        [...sequence.items.subarray(...range)].map((item) => items[item]?.id),
        own.map((row) => row.item_id),
      );
      assert.deepEqual(
        [...sequence.ratings.subarray(...range)],
        own.map((row) => row.rating),
      );
    }
    const [first, second] = ['i, "0"', 'i, "1"'].map((id) => items.find((item) => item.id === id));
    assert.deepEqual(first, { id: 'i, "0"', title: "Öl; fein", fields: { genres: ["Drama", "War"], year: 1994, code: "007" } });
    assert.deepEqual([second?.title, second?.fields.year, second?.fields.code], ["Two\nlines", 2001, "12a"]);
    assert.deepEqual(users[0], { id: "u0", fields: { age: 24 } });
  }

  const forms: readonly (readonly [string, string, (rows: readonly object[]) => string | Buffer, object?])[] = [
    ["CSV", "csv", csv, genres],
    [
      "CSV with a byte order mark and Windows' line ends",
      "csv",
      (rows) => `\ufeff${csv(rows).replaceAll("\n", "\r\n").replace("Two\r\n", "Two\n")}`,
      genres,
    ],
    [
      "CSV by semicolons, in latin-1",
      "csv",
      (rows) => Buffer.from(csv(rows, ";"), "latin1"),
      { ...genres, separator: ";", encoding: "latin-1" },
    ],
    ["CSV, gzipped", "csv.gz", (rows) => gzipSync(csv(rows)), genres],
    ["TSV", "tsv", (rows) => csv(rows, "\t"), genres],
    ["JSON lines", "jsonl", lines],
    ["JSON lines, gzipped", "json.gz", (rows) => gzipSync(lines(rows))],
    ["a JSON array", "json", (rows) => JSON.stringify(rows, null, 1)],
    ["any name, by `format`", "dat", lines, { format: "json" }],
  ];
  for (const [name, ending, form, options] of forms)
    it(`reads ${name}`, async () => sameAsWritten(await read(filesOf(ending, form), ending, options)));

  async function parquet(folder: string): Promise<void> {
    await write(folder, filesOf("jsonl", lines));
    const connection = await (await DuckDBInstance.create(":memory:")).connect();
    for (const name of Object.keys(all))
      await connection.run(
        `COPY (SELECT * FROM read_json_auto('${join(folder, name)}.jsonl')) TO '${join(folder, name)}.parquet' (FORMAT parquet)`,
      );
    connection.closeSync();
  }

  it("reads Parquet", async () =>
    inTemporaryFolder(async (folder) => {
      await parquet(folder);
      const path = (name: string) => join(folder, `${name}.parquet`);
      const options = { interactions: path("interactions"), items: path("items"), users: path("users") };
      sameAsWritten(await prepare(table(options), protocolOf(), { folds: 0 }));
      const wrong = table({ ...options, columns: { rating: "stars" } });
      await assert.rejects(
        prepare(wrong, protocolOf(), { folds: 0 }),
        coded("RLRF_DATA_COLUMNS", "lacks stars", "user_id, item_id, rating, timestamp"),
      );
      await writeFile(path("interactions"), "no parquet");
      await assert.rejects(prepare(table(options), protocolOf(), { folds: 0 }), coded("RLRF_DATA_FILE", "interactions.parquet"));
    }));

  it("reads RecBole's atomic files, the siblings by their names, by the types in their headers", async () =>
    inTemporaryFolder(async (folder) => {
      await write(folder, {
        "x.inter": `user_id:token\titem_id:token\trating:float\ttimestamp:float\n${rated.map((row) => `${Object.values(row).join("\t")}\n`).join("")}`,
        "x.item": 'item_id:token\tfilm:token_seq\tgenres:token_seq\tyear:float\tcode:token\ni, "0"\tÖl fein\tDrama War\t1994\t7\n',
      });
      const options = { interactions: join(folder, "x.inter"), itemColumns: { title: "film" } };
      const data = await prepare(table(options), protocolOf(), { folds: 0 });
      assert.equal(data.counts.interactions, 25);
      const item = data.items.find(({ id }) => id === 'i, "0"');
      assert.deepEqual(item?.fields, { genres: ["Drama", "War"], year: 1994, code: "7" });
      assert.equal(item?.title, "Öl fein");
      assert.equal(data.counts.usersWithoutRecord, 5);
    }));

  describe("reads ids and titles as the texts that they are", () => {
    /** An id as it stands in both files, and as it is read. */
    type Id = readonly [string, string];
    const csvIds = ["12.0", "0.50", "9007199254740993", "1e3", " 7 ", "\u00a08", "-0"].map((id): Id => [id, id.trim()]);
    const jsonIds: Id[] = ["7.0", "7", "9007199254740993", "true", '"1.10"', '" a "'].map((id) => [id, id.replaceAll('"', "")]);
    const csvText = (names: readonly string[], rows: readonly (readonly string[])[]) =>
      [names, ...rows].map((row) => `${row.join(",")}\n`).join("");
    const objects = (names: readonly string[], rows: readonly (readonly string[])[]) =>
      rows.map((row) => `{${row.map((cell, i) => `"${names[i]}": ${cell}`).join(", ")}}`);
    const forms: readonly (readonly [string, readonly Id[], string, typeof csvText])[] = [
      ["csv", csvIds, "1.10", csvText],
      ["jsonl", jsonIds, '"1.10"', (names, rows) => objects(names, rows).join("\n")],
      ["json", jsonIds, '"1.10"', (names, rows) => `[${objects(names, rows).join(",\n")}]`],
    ];
    const readTables = (folder: string, ending: string) => {
      const path = (name: string) => join(folder, `${name}.${ending}`);
      return readInteractions(table({ interactions: path("interactions"), items: path("items"), users: path("users") }), 3);
    };

    for (const [ending, ids, title, text] of forms)
      it(`in ${ending}`, async () =>
        inTemporaryFolder(async (folder) => {
          const columns = ["user_id", "item_id", "rating", "timestamp"];
          await write(folder, {
            [`interactions.${ending}`]: text(
              columns,
              ids.map(([id]) => [id, id, "4", "1"]),
            ),
            [`items.${ending}`]: text(
              ["item_id", "title", "length"],
              ids.map(([id]) => [id, title, "1.10"]),
            ),
            [`users.${ending}`]: text(
              ["user_id", "age"],
              ids.map(([id]) => [id, "24"]),
            ),
          });
          const { items, users, counts } = await readTables(folder, ending);
          assert.deepEqual([counts.itemsWithoutRecord, counts.usersWithoutRecord], [0, 0]);
          assert.deepEqual(new Set(items.slice(1).map(({ id }) => id)), new Set(ids.map(([, id]) => id)));
          for (const item of items.slice(1)) assert.deepEqual([item.title, item.fields.length], ["1.10", 1.1]);
          for (const { fields } of users) assert.equal(fields.age, 24);
        }));

    it("in Parquet", async () =>
      inTemporaryFolder(async (folder) => {
        const connection = await (await DuckDBInstance.create(":memory:")).connect();
        const copy = (name: string, sql: string) => connection.run(`COPY (${sql}) TO '${join(folder, name)}.parquet' (FORMAT parquet)`);
        await copy(
          "interactions",
          `SELECT 9007199254740992 + range AS user_id, range::DOUBLE AS item_id, 4 AS rating, 1 AS timestamp FROM range(3)`,
        );
        await copy("items", "SELECT range::DOUBLE AS item_id, (1.1 + range)::DECIMAL(9, 2) AS title FROM range(3)");
        await copy("users", "SELECT 9007199254740992 + range AS user_id, 24 AS age FROM range(3)");
        connection.closeSync();
        const { counts, items } = await readTables(folder, "parquet");
        assert.deepEqual([counts.itemsWithoutRecord, counts.usersWithoutRecord], [0, 0]);
        assert.deepEqual([items[1]?.id, items[1]?.title], ["0.0", "1.10"]);
      }));
  });

  it("refuses records of which none is of the items or users that interact", async () => {
    const files = filesOf("jsonl", lines);
    const strange = { "items.jsonl": lines(things.map((thing) => ({ ...thing, item_id: `${thing.item_id}.0` }))) };
    await assert.rejects(
      read({ ...files, ...strange }, "jsonl"),
      coded("RLRF_DATA_RECORDS", "none of the 12 items", "of the 2 records", '".0'),
    );
    const others = { "users.jsonl": lines(people.map((person) => ({ ...person, user_id: "0" }))) };
    await assert.rejects(read({ ...files, ...others }, "jsonl"), coded("RLRF_DATA_RECORDS", "none of the 5 users", 'is "u0"', 'is "0"'));
  });

  it("maps columns, and keeps the fields that are asked for", async () => {
    const renamed = rated.map(({ user_id, item_id, rating, timestamp }) => ({
      t: timestamp * 1000,
      who: user_id,
      "what ever": item_id,
      "r'1": rating,
    }));
    const files = { ...filesOf("jsonl", lines), "interactions.jsonl": lines(renamed) };
    const options = {
      columns: { user: "who", item: "what ever", rating: "r'1", time: "t" },
      timeUnit: "milliseconds",
      itemColumns: { title: "code", fields: ["year"] },
    };
    const data = await read(files, "jsonl", options);
    assert.deepEqual(data.sequence, (await read(filesOf("jsonl", lines), "jsonl")).sequence);
    assert.deepEqual(
      data.items.find(({ id }) => id === 'i, "0"'),
      { id: 'i, "0"', title: "007", fields: { year: 1994 } },
    );
  });

  it("reads dates as times", async () => {
    const dated = [...rated].reverse().map((row) => ({ ...row, timestamp: new Date(row.timestamp * 1000).toISOString() }));
    const data = await read({ "interactions.csv": csv(dated) }, "csv", { timeUnit: "date" });
    assert.deepEqual(data.sequence, (await read({ "interactions.csv": csv(rated) }, "csv")).sequence);
    const wrong = csv(dated).replace("2014-05-13", "soon");
    await assert.rejects(
      read({ "interactions.csv": wrong }, "csv", { timeUnit: "date" }),
      coded("RLRF_DATA_ROW", 'the time is "soon', "not a date"),
    );
  });

  it("names the option that makes sense of ratings, times, ids and columns", async () => {
    const files = (rows: readonly object[], separator?: string) => ({ "interactions.csv": csv(rows, separator) });
    const tens = rated.map((row) => ({ ...row, rating: row.rating * 2 }));
    await assert.rejects(
      read(files(tens), "csv"),
      coded("RLRF_DATA_ROW", 'the rating is "6"', "to do     set dataset.options.ratings to", "[1, 10]", "else mend the file", "onBadRow"),
    );
    const dated = rated.map((row) => ({ ...row, timestamp: "2014-05-13" }));
    await assert.rejects(read(files(dated), "csv"), coded("RLRF_DATA_ROW", 'to do     set dataset.options.timeUnit to "date"'));
    const renamed = rated.map(({ user_id: who, ...row }) => ({ who, ...row }));
    await assert.rejects(
      read({ "interactions.jsonl": lines(renamed) }, "jsonl"),
      coded("RLRF_DATA_ROW", "no user id", "to do     name the columns of users and items in dataset.options.columns"),
    );
    await assert.rejects(
      read(files(renamed), "csv"),
      coded("RLRF_DATA_COLUMNS", "lacks user_id", "its columns are: who, item_id", "dataset.options.columns", "without a header"),
    );
    for (const [separator, shown] of [
      [";", '";"'],
      ["\t", '"\\t"'],
    ] as const)
      await assert.rejects(
        read(files(rated, separator), "csv"),
        coded("RLRF_DATA_COLUMNS", `${shown} seems to separate them, not ","`, "dataset.options.separator"),
      );
  });

  it("says that a core, or skipping bad rows, leaves nothing", async () => {
    const tens = rated.map((row) => ({ ...row, rating: row.rating * 10 }));
    const skipped = read({ "interactions.csv": csv(tens) }, "csv", { onBadRow: "skip" });
    await assert.rejects(skipped, coded("RLRF_DATA_EMPTY", "all 25 rows were malformed, and skipped", 'onBadRow to "fail"'));
    const core = read({ "interactions.csv": csv(rated) }, "csv", { core: 1000 });
    await assert.rejects(core, coded("RLRF_DATA_EMPTY", "a core of 1000 leaves none of the 25 interactions", "dataset.options.core"));
  });

  it("needs neither ratings nor times: all are relevant, in the order of the rows", async () => {
    const bare = rated.map(({ user_id, item_id }) => ({ user_id, item_id }));
    const data = await read({ "interactions.csv": csv(bare) }, "csv", { columns: { rating: null, time: null } });
    assert.ok(data.sequence.ratings.every((rating) => rating === 5) && data.sequence.relevant.every((label) => label === 1));
    assert.deepEqual(data.sequence.items, (await read({ "interactions.csv": csv(rated) }, "csv")).sequence.items);
  });

  it("has the scale that it is told, and refuses one that makes no sense", async () => {
    const wide = rated.map((row) => ({ ...row, rating: row.rating * 20 }));
    const data = await read({ "interactions.csv": csv(wide) }, "csv", { ratings: [0, 100], relevantAbove: 50 });
    assert.deepEqual(data.ratingScale, { lowest: 0, highest: 100 });
    assert.ok(data.sequence.ratings.every((rating, i) => data.sequence.relevant[i] === Number(rating > 50)));
    for (const options of [{ relevantAbove: 9 }, { relevantAbove: 5 }, { ratings: [4, 5] }, { ratings: [3, 3] }])
      assert.throws(() => table({ interactions: "x.csv", ...options }), coded("RLRF_SPEC_VALUE", "relevantAbove is", "below the highest"));
    assert.throws(() => table({ interactions: "x.csv", ratings: [5, 1] }), coded("RLRF_SPEC_VALUE", "ratings is [5,1]", "ascending"));
  });

  const row = { user_id: "u9", item_id: "i9", rating: 3, timestamp: 5 };
  const bad: readonly (readonly [string, string, (rows: readonly object[]) => string, string, string])[] = [
    ["CSV: NaN", "csv", csv, "u9,i9,NaN,5", 'the rating is "NaN"'],
    ["CSV: no rating", "csv", csv, "u9,i9,,5", 'the rating is ""'],
    ["CSV: a cell too many", "csv", csv, "u9,i9,3,5,6", "5 cells, not 4"],
    ["CSV: an open quote", "csv", csv, 'u9,"i9,3,5', "its quotes do not match"],
    ["CSV: infinity", "csv", csv, "u9,i9,Infinity,5", 'the rating is "Infinity"'],
    ["JSON lines: torn", "jsonl", lines, '{"user_id": "u9"', "it is no JSON object"],
    ["JSON lines: no user", "jsonl", lines, JSON.stringify({ ...row, user_id: null }), "no user id"],
    ["JSON lines: a number alone", "jsonl", lines, "5", "it is no JSON object"],
    ["JSON lines: a rating out of range", "jsonl", lines, JSON.stringify({ ...row, rating: 5.5 }), 'the rating is "5.5"'],
    ["JSON lines: a time that is none", "jsonl", lines, JSON.stringify({ ...row, timestamp: {} }), 'the time is "{}"'],
  ];
  for (const [what, ending, form, text, message] of bad)
    it(`${what}: ends with file and line, or is skipped and counted`, async () => {
      const content = form(rated).split("\n");
      content.splice(4, 0, text);
      const files = { [`interactions.${ending}`]: content.join("\n") };
      await assert.rejects(read(files, ending), coded("RLRF_DATA_ROW", message, `interactions.${ending}:5`));
      const { badInteractions, interactions } = (await read(files, ending, { onBadRow: "skip" })).counts;
      assert.deepEqual([badInteractions, interactions], [1, 25]);
    });

  it("tells bad items and ids used twice by their lines", async () => {
    const files = filesOf("jsonl", lines);
    const twice = { ...files, "items.jsonl": lines([...things, things[0] as object]) };
    await assert.rejects(read(twice, "jsonl"), coded("RLRF_DATA_ROW", "is that of line 1", "items.jsonl:3"));
    assert.equal((await read(twice, "jsonl", { onBadRow: "skip" })).counts.badItems, 1);
    await assert.rejects(read({ ...files, "users.jsonl": '{"user_id": ""}' }, "jsonl"), coded("RLRF_DATA_ROW", "no id", "users.jsonl:1"));
  });

  it("refuses options that name a column which no item or user has", async () => {
    const files = filesOf("csv", csv);
    const genre = { lists: { genre: "|", age: "," } };
    await assert.rejects(
      read(files, "csv", genre),
      coded("RLRF_DATA_COLUMNS", "no item or user has a column genre", "dataset.options.lists", "genres"),
    );
    await assert.rejects(read({ "interactions.csv": csv(rated) }, "csv", genre), coded("RLRF_DATA_COLUMNS", "genre or age"));
    // JSON has no header: what no object has is missing
    const objects = filesOf("jsonl", lines);
    await assert.rejects(
      read(objects, "jsonl", { itemColumns: { title: "name", fields: ["year", "genre"] } }),
      coded("RLRF_DATA_COLUMNS", "lacks name, genre", "items.jsonl"),
    );
  });

  it("says which file, form or column is missing", async () => {
    const files = filesOf("csv", csv);
    await assert.rejects(
      prepare(table({ interactions: "/none/x.csv" }), protocolOf(), { folds: 0 }),
      coded("RLRF_DATA_FILE", "no such file", "/none/x.csv", "the paths in the dataset's options"),
    );
    await assert.rejects(read({ "interactions.txt": "x" }, "txt"), coded("RLRF_DATA_FILE", "does not tell its format", "format"));
    await assert.rejects(read(files, "csv", { columns: { item: "isbn" } }), coded("RLRF_DATA_COLUMNS", "lacks isbn", "interactions.csv:1"));
    await assert.rejects(read(files, "csv", { itemColumns: { title: "name" } }), coded("RLRF_DATA_COLUMNS", "lacks name", "items.csv:1"));
    await assert.rejects(read({ "interactions.csv": "" }, "csv"), coded("RLRF_DATA_COLUMNS", "interactions.csv:1", "none"));
    await assert.rejects(read({ "interactions.json": "[]" }, "json"), coded("RLRF_DATA_EMPTY"));
    await assert.rejects(read({ "interactions.json": '[{"user_id": 1' }, "json"), coded("RLRF_DATA_FILE", "interactions.json"));
    await assert.rejects(read({ "interactions.csv": gzipSync(csv(rated)) }, "csv"), coded("RLRF_DATA_FILE", "interactions.csv"));
  });
});
