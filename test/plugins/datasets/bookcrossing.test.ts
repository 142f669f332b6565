import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { PreparedData } from "../../../framework/contracts/dataset.js";
import { prepare } from "../../../framework/data/prepare.js";
import { promptOf } from "../../../framework/method/prompt.js";
import { BookCrossing } from "../../../plugins/datasets/bookcrossing.js";
import { coded, inTemporaryFolder, protocolOf } from "../../support/dataset.js";
import { moviePrompt } from "../../framework/method/data.js";

type Options = ConstructorParameters<typeof BookCrossing>[0];

/** Five readers, six ratings each of twelve books, the first of each reader a 0. */
const ratings = Array.from({ length: 30 }, (_, i) => {
  const user = Math.floor(i / 6);
  return `"${276725 + user}";"${1000 + ((user * 2 + i) % 12)}";"${i % 6 === 0 ? 0 : 5 + (i % 6)}"`;
});
const images = '"http://images.example/S.jpg";"http://images.example/M.jpg";"http://images.example/L.jpg"';
const files = {
  "BX-Book-Ratings.csv": ['"User-ID";"ISBN";"Book-Rating"', ...ratings],
  "BX-Books.csv": [
    '"ISBN";"Book-Title";"Book-Author";"Year-Of-Publication";"Publisher";"Image-URL-S";"Image-URL-M";"Image-URL-L"',
    `"1000";"Classical Mythology";"Mark P. O. Morford";"2002";"Oxford University Press";${images}`,
    `"1001";"Peterman Rides Again: Adventures Continue with the Real \\"J. Peterman\\" Through Life &amp; the Catalog Business";"John Peterman";"2000";"Prentice Hall Press";${images}`,
    // As rows 209538, 220731 and 221678 of the dump: the title's end is escaped, and one cell is lost.
    `"1002";"DK Readers: Creating the X-Men (Level 4: Proficient Readers)\\";Michael Teitelbaum";"2000";"DK Publishing Inc";${images}`,
    `"1003";"Die Mörder; und andere";"José Saramago";"0";"Ullstein";${images}`,
    `"1004";"";"NULL";"2050";"";${images}`,
  ],
  "BX-Users.csv": [
    '"User-ID";"Location";"Age"',
    '"276725";"tyler, texas, usa";NULL',
    '"276726";"seattle, washington, usa";"34"',
    '"276727";"h, new south wales, n/a";"244"',
    '"276728";"cernusco s\\"n, milano, italy";"18"',
  ],
};

type Files = Readonly<Record<string, readonly string[]>>;

async function read(content: Files, options: Partial<Options> = {}, ending = "\n"): Promise<PreparedData> {
  return inTemporaryFolder(async (path) => {
    for (const [name, lines] of Object.entries(content))
      await writeFile(join(path, name), Buffer.from(lines.join(ending) + ending, "latin1"));
    const dataset = new BookCrossing({ path, implicit: "drop", core: 0, onBadRow: "skip", ...options });
    return prepare(dataset, protocolOf(), { folds: 0 });
  });
}
const item = ({ items }: PreparedData, id: string) => items.find((candidate) => candidate.id === id);
const user = ({ users }: PreparedData, id: string) => users.find((candidate) => candidate.id === id)?.fields;

describe("dataset/bookcrossing", () => {
  for (const ending of ["\n", "\r\n"])
    it(`reads the dump, mends what is known to be broken in it, and counts it (lines ended by ${JSON.stringify(ending)})`, async () => {
      const data = await read(files, {}, ending);
      const { interactions, implicitDropped, badInteractions, badItems, badUsers, mendedItems } = data.counts;
      assert.deepEqual([interactions, implicitDropped], [25, 5]);
      assert.deepEqual([badInteractions, badItems, badUsers, mendedItems], [0, 0, 0, 1]);
      assert.deepEqual(item(data, "1000"), {
        id: "1000",
        title: "Classical Mythology",
        fields: { author: "Mark P. O. Morford", period: "2000s", year: 2002, publisher: "Oxford University Press" },
      });
      assert.equal(
        item(data, "1001")?.title,
        'Peterman Rides Again: Adventures Continue with the Real "J. Peterman" Through Life & the Catalog Business',
      );
      assert.deepEqual(item(data, "1002"), {
        id: "1002",
        title: "DK Readers: Creating the X-Men (Level 4: Proficient Readers)",
        fields: { author: "Michael Teitelbaum", period: "2000s", year: 2000, publisher: "DK Publishing Inc" },
      });
      assert.deepEqual(item(data, "1003"), {
        id: "1003",
        title: "Die Mörder; und andere",
        fields: { author: "José Saramago", publisher: "Ullstein" },
      });
      assert.deepEqual(item(data, "1004"), { id: "1004", title: "1004", fields: {} });
      assert.deepEqual(item(data, "1005"), { id: "1005", title: "1005", fields: {} });
      assert.deepEqual(user(data, "276725"), { country: "usa" });
      assert.deepEqual(user(data, "276726"), { age: 34, country: "usa" });
      assert.deepEqual(user(data, "276727"), { country: "new south wales" });
      assert.deepEqual(user(data, "276728"), { age: 18, country: "italy" });
    });

  it("takes 8 and more as relevant, and keeps the file's order as that of time", async () => {
    const { sequence } = await read(files);
    assert.deepEqual([...sequence.ratings.subarray(0, 5)], [6, 7, 8, 9, 10]);
    assert.deepEqual([...sequence.relevant.subarray(0, 5)], [0, 0, 1, 1, 1]);
  });

  it("tells prompts its own scale", async () => {
    const prompt = async (options: Partial<Options>) =>
      promptOf(0, await read(files, options), { ...moviePrompt, template: "items" })[0]?.content;
    assert.match((await prompt({})) ?? "", /rated these items from 1 to 10:/);
    assert.match((await prompt({ implicit: "keep" })) ?? "", /rated these items from 0 to 10:/);
  });

  it("keeps ratings of 0 on demand, none of them relevant", async () => {
    const { counts, sequence } = await read(files, { implicit: "keep" });
    assert.deepEqual([counts.interactions, counts.implicitDropped], [30, 0]);
    assert.deepEqual([sequence.ratings[0], sequence.relevant[0]], [0, 0]);
  });

  it("keeps the k-core on demand", async () => {
    // A sixth reader of one rating falls out, and with it the book that no other reader has; the others have more than 2 each.
    const lonely = { ...files, "BX-Book-Ratings.csv": [...files["BX-Book-Ratings.csv"], '"9";"1";"10"'] };
    assert.equal((await read(lonely)).counts.interactions, 26);
    const { counts, items } = await read(lonely, { core: 2 });
    assert.equal((counts.interactions as number) + (counts.outsideCore as number), 26);
    assert.ok(!items.some(({ id }) => id === "1"));
  });

  const bad: readonly (readonly [string, keyof typeof files, string, string, number])[] = [
    ["a rating of 11", "BX-Book-Ratings.csv", '"1";"2";"11"', 'the rating is "11", not a number from 0 to 10', 32],
    ["no ISBN", "BX-Book-Ratings.csv", '"1";"";"5"', "no item id", 32],
    ["a cell too few", "BX-Book-Ratings.csv", '"1";"5"', "2 cells, not 3", 32],
    ["quotes that do not match", "BX-Book-Ratings.csv", '"1";"2"3";"5"', "its quotes do not match", 32],
    ["a book with too many cells", "BX-Books.csv", `"2000";"A";"B";"C";"2000";"P";${images}`, "9 cells, not 8", 7],
    ["a book twice", "BX-Books.csv", `"1000";"A";"B";"2000";"P";${images}`, "the id 1000 is that of line 2", 7],
  ];
  for (const [what, name, line, message, number] of bad)
    it(`${what}: is skipped and counted, or ends with file and line`, async () => {
      const content = { ...files, [name]: [...files[name], line] };
      const { badInteractions = 0, badItems = 0, interactions } = (await read(content)).counts;
      assert.deepEqual([badInteractions + badItems, interactions], [1, 25]);
      await assert.rejects(read(content, { onBadRow: "fail" }), coded("RLRF_DATA_ROW", message, `${name}:${number}`));
    });

  it("says which file or column is missing", async () => {
    const { "BX-Users.csv": _, ...without } = files;
    await assert.rejects(read(without), coded("RLRF_DATA_FILE", "no such file", "BX-Users.csv"));
    const renamed = { ...files, "BX-Books.csv": ['"ISBN";"Title"'] };
    await assert.rejects(read(renamed), coded("RLRF_DATA_COLUMNS", "the header lacks Book-Title, Book-Author", "BX-Books.csv:1"));
    await assert.rejects(read({ ...files, "BX-Book-Ratings.csv": [] }), coded("RLRF_DATA_COLUMNS", "lacks User-ID"));
  });
});
