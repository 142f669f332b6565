import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import type { PreparedData } from "../../../framework/contracts/dataset.js";
import { prepare } from "../../../framework/data/prepare.js";
import { promptOf } from "../../../framework/method/prompt.js";
import { AmazonReviews } from "../../../plugins/datasets/amazon-reviews.js";
import { parseLoose } from "../../../plugins/datasets/amazon-reviews/loose-json.js";
import {
  asins,
  jsonLines,
  metadata2014,
  metadata2018,
  metadata2023,
  pythonLines,
  rated,
  reviews2014,
  reviews2018,
  reviews2023,
} from "../../support/amazon.js";
import { coded, inTemporaryFolder, protocolOf } from "../../support/dataset.js";
import { moviePrompt } from "../../framework/method/data.js";

type Options = ConstructorParameters<typeof AmazonReviews>[0];
type Files = Readonly<Record<string, string | Buffer>>;

async function read(files: Files, options: Partial<Options>): Promise<PreparedData> {
  return inTemporaryFolder(async (path) => {
    for (const [name, content] of Object.entries(files)) await writeFile(join(path, name), content);
    const dataset = new AmazonReviews({ edition: "2014", category: "Books", core: 0, onBadRow: "fail", path, ...options });
    return prepare(dataset, protocolOf(), { folds: 0 });
  });
}
const item = ({ items }: PreparedData, id: string | undefined) => items.find((candidate) => candidate.id === id);

const strict: Files = { "reviews_Books_5.json": jsonLines(reviews2014), "meta_Books.json": pythonLines(metadata2014) };
const loose: Files = { "reviews_Books.json": pythonLines(reviews2014), "meta_Books.json": pythonLines(metadata2014) };
const of2018: Files = { "Books_5.json": jsonLines(reviews2018), "meta_Books.json": jsonLines(metadata2018) };
const of2023: Files = { "Books.jsonl": jsonLines(reviews2023), "meta_Books.jsonl": jsonLines(metadata2023) };
const csv = (...columns: (keyof (typeof rated)[0])[]) => rated.map((row) => `${columns.map((column) => row[column]).join(",")}\n`).join("");
const zipped = (files: Files): Files => Object.fromEntries(Object.entries(files).map(([name, text]) => [`${name}.gz`, gzipSync(text)]));

describe("dataset/amazon-reviews", () => {
  const cases: readonly (readonly [string, Files, Options["edition"]])[] = [
    ["2014, JSON", strict, "2014"],
    ["2014, gzipped", zipped(strict), "2014"],
    ["2014, Python's dictionaries", loose, "2014"],
    ["2014, Python's dictionaries, gzipped", zipped(loose), "2014"],
    [
      "2014, ratings alone",
      { "ratings_Books.csv": csv("user", "item", "rating", "time"), "meta_Books.json": strict["meta_Books.json"] as string },
      "2014",
    ],
    ["2018", of2018, "2018"],
    ["2018, gzipped", zipped(of2018), "2018"],
    [
      "2018, ratings alone",
      { "Books.csv": csv("item", "user", "rating", "time"), "meta_Books.json": of2018["meta_Books.json"] as string },
      "2018",
    ],
    ["2023", of2023, "2023"],
    ["2023, gzipped", zipped(of2023), "2023"],
    [
      "2023, ratings alone",
      {
        "Books.csv": `user_id,parent_asin,rating,timestamp\n${rated.map(({ user, item: id, rating, time }) => `${user},${id},${rating}.0,${time * 1000}\n`).join("")}`,
        "meta_Books.jsonl": of2023["meta_Books.jsonl"] as string,
      },
      "2023",
    ],
  ];
  for (const [name, files, edition] of cases)
    it(`reads ${name}: the same interactions from every form`, async () => {
      const data = await read(files, { edition });
      assert.equal(data.counts.interactions, 30);
      for (const [number, { id }] of data.users.entries()) {
        const [from, to] = [data.sequence.offsets[number], data.sequence.offsets[number + 1]];
        const own = rated.filter(({ user }) => user === id);
        assert.deepEqual(
          [...data.sequence.items.subarray(from, to)].map((item) => data.items[item]?.id),
          own.map((row) => row.item),
        );
        assert.deepEqual(
          [...data.sequence.ratings.subarray(from, to)],
          own.map(({ rating }) => rating),
        );
      }
      assert.deepEqual([...new Set(data.sequence.ratings.filter((_, i) => data.sequence.relevant[i] === 1))], [5]);
    });

  it("joins titles, categories, brands and prices of 2014", async () => {
    const data = await read(strict, {});
    assert.deepEqual(item(data, asins[0]), {
      id: asins[0],
      title: "Les Misérables & More",
      fields: { categories: ["Fiction", "French"], price: 12.99 },
    });
    assert.deepEqual(item(data, asins[1]), { id: asins[1], title: 'The "Best" of Ann\'s', fields: { author: "Penguin" } });
    assert.deepEqual(item(data, asins[2]), { id: asins[2], title: asins[2], fields: {} });
    assert.equal(data.counts.itemsWithoutRecord, 10);
  });

  it("calls products without a title by their ids, in prompts too", async () => {
    const untitled = pythonLines(metadata2014.map(({ title: _, ...product }) => product));
    const data = await read({ ...strict, "meta_Books.json": untitled }, {});
    assert.deepEqual([item(data, asins[0])?.title, item(data, asins[0])?.fields.price], [asins[0], 12.99]);
    assert.deepEqual([data.counts.itemsWithoutRecord, data.counts.itemsWithoutTitle], [10, 2]);
    const [message] = promptOf(0, data, { ...moviePrompt, template: "items" });
    assert.match(message?.content ?? "", new RegExp(`\n${asins[0]}, Fiction, French: 1\n${asins[1]}: 2\n`));
  });

  it("of 2018 cleans pages that gave their script or style, and takes the first of several descriptions", async () => {
    const data = await read(of2018, { edition: "2018" });
    assert.deepEqual(item(data, asins[0]), {
      id: asins[0],
      title: "Les Misérables",
      fields: { categories: ["Literature & Fiction"], author: "Victor Hugo", price: 7.5 },
    });
    assert.deepEqual(item(data, asins[1]), { id: asins[1], title: asins[1], fields: {} });
    assert.deepEqual([data.counts.duplicateItems, data.counts.itemsWithoutTitle], [1, 1]);
  });

  it("of 2023 takes the parent product, the author, and time in milliseconds", async () => {
    const data = await read(of2023, { edition: "2023" });
    assert.deepEqual(item(data, asins[0])?.fields, { categories: ["Literature & Fiction"], author: "Victor Hugo", price: 7.5 });
    assert.deepEqual(item(data, asins[1])?.fields, { author: "Ann Lee" });
  });

  it("has stores and brands where products are no books", async () => {
    const beauty = Object.fromEntries(Object.entries(of2023).map(([name, text]) => [name.replace("Books", "All_Beauty"), text]));
    const data = await read(beauty, { edition: "2023", category: "All_Beauty" });
    assert.deepEqual(item(data, asins[1])?.fields, { store: "Ann Lee" });
    const old = {
      "reviews_Beauty_5.json": strict["reviews_Books_5.json"] as string,
      "meta_Beauty.json": strict["meta_Books.json"] as string,
    };
    assert.deepEqual(item(await read(old, { category: "Beauty" }), asins[1])?.fields, { categories: ["Books"], brand: "Penguin" });
  });

  it("counts ratings that stand twice once, and keeps the 5-core", async () => {
    const twice = { ...strict, "reviews_Books_5.json": jsonLines([...reviews2014, ...reviews2014.slice(0, 3)]) };
    assert.deepEqual([(await read(twice, {})).counts.interactions, (await read(twice, {})).counts.duplicateInteractions], [30, 3]);
    // Six users of the same five products, and one of a single product more.
    const rows = Array.from({ length: 30 }, (_, i) => ({
      ...reviews2014[0],
      reviewerID: `U${Math.floor(i / 5)}`,
      asin: asins[i % 5],
      unixReviewTime: i,
    }));
    const lonely = { ...reviews2014[0], reviewerID: "LONELY", asin: asins[7] };
    const many = { "reviews_Books.json": jsonLines([...rows, lonely]), "meta_Books.json": "" };
    const error = coded("RLRF_DATA_EMPTY", "no list can be cut"); // five products are too few for lists with negatives
    await assert.rejects(read(many, { core: 5 }), error);
    // Of the twelve products two have one rating each; the lonely user's makes two of one of them, but he falls out.
    const more = { ...many, "reviews_Books.json": jsonLines([...rows, ...reviews2014, lonely]) };
    assert.equal((await read(more, { core: 2 })).counts.outsideCore, 3);
  });

  const bad: readonly (readonly [string, Files, string, string, number, Options["edition"]])[] = [
    ["broken JSON", of2018, "Books_5.json", '{"overall": 5, "reviewerID": "A', 4, "2018"],
    ["a rating of 6", of2018, "Books_5.json", jsonLines([{ ...reviews2018[0], overall: 6 }]).trim(), 4, "2018"],
    ["NaN for a rating", of2018, "Books_5.json", jsonLines([{ ...reviews2018[0], overall: "NaN" }]).trim(), 4, "2018"],
    ["a list", of2018, "Books_5.json", "[1, 2]", 4, "2018"],
    ["no user", of2023, "Books.jsonl", jsonLines([{ ...reviews2023[0], user_id: undefined }]).trim(), 4, "2023"],
    ["no time", of2023, "Books.jsonl", jsonLines([{ ...reviews2023[0], timestamp: "soon" }]).trim(), 4, "2023"],
    ["a torn dictionary", loose, "reviews_Books.json", "{'reviewerID': 'A", 4, "2014"],
    ["a product without an id", strict, "meta_Books.json", "{'title': 'x'}", 2, "2014"],
    ["code instead of a dictionary", strict, "meta_Books.json", "{'asin': __import__('os')}", 2, "2014"],
  ];
  for (const [what, files, name, line, number, edition] of bad)
    it(`${what}: ends with file and line, or is skipped and counted`, async () => {
      const lines = String(files[name]).split("\n");
      lines.splice(number - 1, 0, line);
      const content = { ...files, [name]: lines.join("\n") };
      await assert.rejects(read(content, { edition }), coded("RLRF_DATA_ROW", `${name}:${number}`));
      const { badInteractions = 0, badItems = 0, interactions } = (await read(content, { edition, onBadRow: "skip" })).counts;
      assert.deepEqual([badInteractions + badItems, interactions], [1, 30]);
    });

  it("says which files it looked for, and where they are", async () => {
    const parts = ["no reviews of Books, edition 2014", "reviews_Books_5.json or reviews_Books.json", "https://"];
    await assert.rejects(read(of2018, {}), coded("RLRF_DATA_FILE", ...parts));
    await assert.rejects(
      read({ "Books.jsonl": "" }, { edition: "2023" }),
      coded("RLRF_DATA_FILE", "no metadata of Books", "meta_Books.jsonl"),
    );
    await assert.rejects(read({ ...strict, "reviews_Books_5.json": "" }, {}), coded("RLRF_DATA_EMPTY", "no interactions"));
    const whole = zipped(strict);
    const torn = { ...whole, "meta_Books.json.gz": (whole["meta_Books.json.gz"] as Buffer).subarray(0, 60) };
    await assert.rejects(read(torn, {}), coded("RLRF_DATA_FILE", "damaged or not whole", "meta_Books.json.gz"));
  });

  describe("loose JSON", () => {
    it("reads what Python's repr writes", () => {
      const json = fc.jsonValue().filter((value) => !JSON.stringify(value).includes("-0"));
      fc.assert(
        fc.property(
          fc.dictionary(
            fc.string().filter((key) => key !== "__proto__"),
            json,
          ),
          (value) => {
            const plain = JSON.parse(JSON.stringify(value)) as object;
            assert.deepEqual(parseLoose(pythonLines([plain]).slice(0, -1)), plain);
          },
        ),
      );
    });

    it("knows Python's escapes, tuples and prefixes", () => {
      assert.deepEqual(parseLoose(`{'a': (1, -2.5e3,), u'b': "it's \\xe9\\u00e9\\U0001F600\\'\\q", 'c': True, 'd': None, 'e': []}`), {
        a: [1, -2500],
        b: "it's éé😀'\\q",
        c: true,
        d: null,
        e: [],
      });
    });

    it("says where a line is no literal, and bears any", () => {
      for (const text of ["{'a': b}", "{'a' 1}", "{'a': 1} x", "{'a': 'x", "{'a': 1", "[".repeat(100), "{'a': [1 2]}", "", "{'a': exit()}"])
        assert.throws(() => parseLoose(text), Error);
      fc.assert(
        fc.property(fc.string(), (text) => {
          try {
            parseLoose(text);
          } catch (error) {
            assert.ok(error instanceof Error && !(error instanceof RangeError));
          }
        }),
      );
    });
  });
});
