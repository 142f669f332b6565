/** The formats of 10M to 32M: half stars, no viewers, UTF-8; CSV with quoted titles from 20M on. */
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { prepare } from "../../../framework/data/prepare.js";
import { MovieLens } from "../../../plugins/datasets/movielens.js";
import { coded, inTemporaryFolder, protocolOf } from "../../support/dataset.js";

type Size = "10m" | "20m" | "25m" | "32m";
type Files = Readonly<Record<string, string | Buffer>>;

const noAssets = { folder: (id: string) => Promise.reject(new Error(`${id} was asked for`)), requirements: async () => [] };
const read = (path: string, size: Size, onBadRow: "fail" | "skip" = "fail") =>
  prepare(new MovieLens({ size, path, onBadRow }, noAssets), protocolOf(), { folds: 0 });

/** 5 users with 5 ratings each, of 12 films, from 0.5 to 5. */
const ratings = (separator: string) =>
  Array.from({ length: 25 }, (_, i) => {
    const user = Math.floor(i / 5) + 1;
    return [user, ((user * 2 + i) % 12) + 1, (i % 10) / 2 + 0.5, 1112486027 + i].join(separator);
  });

const dat: Files = {
  "ratings.dat": `${ratings("::").join("\n")}\n`,
  "movies.dat": "1::Toy Story (1995)::Adventure|Animation\n2::Misérables, Les (1995)::Drama\n3::Untitled::(no genres listed)\n",
};
const header = "userId,movieId,rating,timestamp";
const movies = [
  "movieId,title,genres",
  "1,Toy Story (1995),Adventure|Animation",
  '2,"Misérables, Les (1995)",Drama',
  '3,"Great Performances"" Cats (1998)",Musical',
  '4,"""Great ""Quotes""",(no genres listed)',
  "5,Léon: The Professional (a.k.a. The Professional) (Léon) (1994),Action|Crime",
];
const csv: Files = { "ratings.csv": `${[header, ...ratings(",")].join("\n")}\n`, "movies.csv": `${movies.join("\n")}\n` };

async function write(folder: string, files: Files): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
}
const withBytes = (files: Files, change: (text: string) => string): Files =>
  Object.fromEntries(Object.entries(files).map(([name, text]) => [name, change(String(text))]));

describe("dataset/movielens, the large ones", () => {
  for (const [name, size, files] of [
    ["10M", "10m", dat],
    ["20M", "20m", csv],
    ["25M with line ends of Windows", "25m", withBytes(csv, (text) => text.replaceAll("\n", "\r\n"))],
    ["32M with a byte order mark", "32m", withBytes(csv, (text) => `\ufeff${text}`)],
  ] as const)
    it(`reads ${name}`, async () =>
      inTemporaryFolder(async (folder) => {
        await write(join(folder, "ml"), files);
        const data = await read(folder, size);
        assert.equal(data.counts.interactions, 25);
        assert.deepEqual(data.ratingScale, { lowest: 0.5, highest: 5 });
        assert.deepEqual([...new Set(data.sequence.ratings)].sort(), [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5]);
        // Above 3: 3.5 is relevant.
        assert.ok(data.sequence.ratings.every((rating, i) => data.sequence.relevant[i] === Number(rating > 3)));
        assert.deepEqual(data.items.find(({ id }) => id === "2")?.title, "Les Misérables");
        assert.deepEqual(data.items.find(({ id }) => id === "1")?.fields, {
          genres: ["Adventure", "Animation"],
          period: "1990s",
          year: 1995,
        });
        if (size !== "10m") {
          assert.equal(data.items.find(({ id }) => id === "3")?.title, 'Great Performances" Cats');
          assert.deepEqual(
            data.items.find(({ id }) => id === "4"),
            { id: "4", title: '"Great "Quotes"', fields: { genres: [] } },
          );
        }
        assert.equal(data.counts.usersWithoutRecord, 5);
      }));

  for (const [size, header] of [
    ["10m", "item_id:token\tmovie_name:token_seq\ttype:token_seq"],
    ["20m", "item_id:token\tmovie_name:token_seq\trelease_year:token\ttype:token_seq"],
    ["25m", "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq"],
    ["32m", "item_id:token\tmovie_title:token_seq\tgenre:token_seq"],
  ] as const)
    it(`reads RecBole's atomic files of ${size}, with the columns ${header}`, async () =>
      inTemporaryFolder(async (folder) => {
        const interactions = ["user_id:token\titem_id:token\trating:float\ttimestamp:float", ...ratings("\t")];
        const titled = (title: string, year: string) => (header.includes("year") ? `${title}\t${year}` : `${title} (${year})`);
        const films = [
          `1\t${titled("Toy Story", "1995")}\tAdventure Animation`,
          `2\t${titled("Misérables, Les", "1995")}\tDrama`,
          `3\t${titled("Untitled", "1999")}\t(no genres listed)`,
        ];
        await write(folder, { [`ml-${size}.inter`]: interactions.join("\n"), [`ml-${size}.item`]: [header, ...films].join("\n") });
        const { items, counts } = await read(folder, size);
        const fields = { genres: ["Adventure", "Animation"], period: "1990s", year: 1995 };
        assert.deepEqual(items[1], { id: "1", title: "Toy Story", fields });
        assert.equal(items[2]?.title, "Les Misérables");
        assert.deepEqual(items[3], { id: "3", title: "Untitled", fields: { genres: [], period: "1990s", year: 1999 } });
        assert.deepEqual([counts.interactions, counts.badItems], [25, 0]);
      }));

  it("gives the same lists from .dat and .csv", async () =>
    inTemporaryFolder(async (folder) => {
      await write(join(folder, "a"), dat);
      await write(join(folder, "b"), csv);
      assert.deepEqual((await read(join(folder, "a"), "10m")).lists, (await read(join(folder, "b"), "20m")).lists);
    }));

  const bad: readonly (readonly [string, string, number, string, string])[] = [
    ["a rating of 0", "ratings.csv", 3, "1,2,0,1112486027", 'the rating is "0", not a number from 0.5 to 5'],
    ["NaN", "ratings.csv", 4, "1,2,NaN,1112486027", 'the rating is "NaN"'],
    ["a missing cell", "ratings.csv", 5, "1,2,3.5", "3 cells, not 4"],
    ["a title whose comma is not quoted", "movies.csv", 2, "1,Misérables, Les,Drama", "4 cells, not 3"],
    ["a quote that is not closed", "movies.csv", 3, '2,"Misérables, Les (1995),Drama', "its quotes do not match"],
    ["text after a quote", "movies.csv", 3, '2,"Les" Misérables,Drama', "its quotes do not match"],
    ["an id used before", "movies.csv", 3, "1,Heat,Drama", "the id 1 is that of line 2"],
  ];
  for (const [what, name, line, text, message] of bad)
    it(`${what}: ends with file and line, or is skipped and counted`, async () =>
      inTemporaryFolder(async (folder) => {
        const lines = String(csv[name]).split("\n");
        lines[line - 1] = text;
        await write(folder, { ...csv, [name]: lines.join("\n") });
        await assert.rejects(read(folder, "25m"), coded("RLRF_DATA_ROW", message, `${join(folder, name)}:${line}`, "onBadRow"));
        const { badInteractions, badItems } = (await read(folder, "25m", "skip")).counts;
        assert.deepEqual([badInteractions, badItems], name === "ratings.csv" ? [1, 0] : [0, 1]);
      }));

  it("says what it looked for, and does not take one size for another's form", async () =>
    inTemporaryFolder(async (folder) => {
      await write(folder, csv);
      await assert.rejects(
        read(folder, "10m"),
        coded("RLRF_DATA_FILE", "no MovieLens 10m", "ml-10m.inter with .item, or ratings.dat with movies.dat"),
      );
    }));

  it("says that a file is missing, empty or no text", async () =>
    inTemporaryFolder(async (folder) => {
      await write(folder, { "ratings.csv": csv["ratings.csv"] as string });
      await assert.rejects(read(folder, "20m"), coded("RLRF_DATA_FILE", "no such file", "movies.csv"));
      await write(folder, { ...csv, "ratings.csv": "" });
      await assert.rejects(read(folder, "20m"), coded("RLRF_DATA_COLUMNS", "the header lacks userId", "ratings.csv:1"));
      await write(folder, { ...csv, "ratings.csv": header });
      await assert.rejects(read(folder, "20m"), coded("RLRF_DATA_EMPTY", "no interactions"));
      await write(folder, { ...csv, "ratings.csv": ratings(",").join("\n") });
      await assert.rejects(
        read(folder, "20m"),
        coded("RLRF_DATA_COLUMNS", "the header lacks userId, movieId, rating, timestamp", "1, 3, 0.5"),
      );
      await write(folder, { ...csv, "movies.csv": gzipSync(csv["movies.csv"] as string) });
      await assert.rejects(read(folder, "20m"), coded("RLRF_DATA_FILE", "not UTF-8", "movies.csv"));
    }));
});
