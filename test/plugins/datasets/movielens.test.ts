import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { PreparedData } from "../../../framework/contracts/dataset.js";
import { identityOf } from "../../../framework/kernel/plugin.js";
import { prepare } from "../../../framework/data/prepare.js";
import { MovieLens } from "../../../plugins/datasets/movielens.js";
import { cleanTitle } from "../../../plugins/datasets/movielens/records.js";
import { coded, inTemporaryFolder, protocolOf } from "../../support/dataset.js";

type Size = ConstructorParameters<typeof MovieLens>[0]["size"];
/** File name -> lines. */
type Files = Readonly<Record<string, readonly string[]>>;

const flags = (...set: number[]) => Array.from({ length: 19 }, (_, i) => (set.includes(i) ? "1" : "0")).join("|");

const atomic: Files = {
  "ml-100k.inter": ["user_id:token\titem_id:token\trating:float\ttimestamp:float", ...interactions("\t")],
  "ml-100k.item": [
    "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq",
    "1\tToy Story\t1995\tAnimation Children's Comedy",
    "2\tGodfather, The\t1972\tAction Crime Drama",
    "3\tunkonwn\tunkonwn\tunknown",
    "4\tMisérables, Les\t1995\tDrama",
    "5\tLand Before Time III: The Time of the Great Giving (1995)\tV\tAnimation",
  ],
  "ml-100k.user": [
    "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token",
    "1\t24\tM\ttechnician\t85711",
    "2\t53\tF\tother\t94043",
  ],
};
const atomic1m: Files = {
  "ml-1m.inter": atomic["ml-100k.inter"] as string[],
  "ml-1m.item": [
    "item_id:token\tmovie_title:token_seq\trelease_year:token\tgenre:token_seq",
    "1\tToy Story\t1995\tAnimation Children's Comedy",
    "2\tGodfather, The\t1972\tAction Crime Drama",
    "4\tMisérables, Les\t1995\tDrama",
    "5\tHate\tHaine, La\tDrama", // what stands in a title's first brackets passes for its year
  ],
  "ml-1m.user": [
    "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token",
    "1\t25\tM\t17\t85711",
    "2\t56\tF\t0\t94043-1234",
  ],
};
const groupLens100k: Files = {
  "u.data": interactions("\t"),
  "u.item": [
    `1|Toy Story (1995)|01-Jan-1995||http://x|${flags(3, 4, 5)}`,
    `2|Godfather, The (1972)|01-Jan-1972||http://x|${flags(1, 6, 8)}`,
    `3|unknown||||${flags(0)}`,
    `4|Misérables, Les (1995)|01-Jan-1995||http://x|${flags(8)}`,
    `5|Land Before Time III: The Time of the Great Giving (1995) (V)|01-Jan-1995||http://x|${flags(3)}`,
  ],
  "u.user": ["1|24|M|technician|85711", "2|53|F|other|94043"],
};
const groupLens1m: Files = {
  "ratings.dat": interactions("::"),
  "movies.dat": [
    "1::Toy Story (1995)::Animation|Children's|Comedy",
    "2::Godfather, The (1972)::Action|Crime|Drama",
    "4::Misérables, Les (1995)::Drama",
  ],
  "users.dat": ["1::M::25::17::85711", "2::F::56::0::94043-1234"],
};

/** Users 1 to 5, each with items of their own: 12 items, 5 interactions a user. */
function interactions(separator: string): string[] {
  return Array.from({ length: 25 }, (_, i) => {
    const user = Math.floor(i / 5) + 1;
    return [user, ((user * 2 + i) % 12) + 1, (i % 5) + 1, 881250949 + i].join(separator);
  });
}

async function write(folder: string, files: Files, encoding: BufferEncoding = "latin1", ending = "\n"): Promise<void> {
  for (const [name, lines] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), Buffer.from(lines.map((line) => line + ending).join(""), encoding));
  }
}
const noAssets = { folder: (id: string) => Promise.reject(new Error(`${id} was asked for`)), requirements: async () => [] };
const dataset = (path: string, size: Size = "100k", onBadRow: "fail" | "skip" = "fail") =>
  new MovieLens({ size, path, onBadRow }, noAssets);
const read = (path: string, size?: Size, onBadRow?: "fail" | "skip") => prepare(dataset(path, size, onBadRow), protocolOf(), { folds: 0 });
/** What `lines` becomes with line `number` (from 1) replaced. */
const withLine = (files: Files, name: string, number: number, line: string): Files => ({
  ...files,
  [name]: (files[name] ?? []).map((old, i) => (i === number - 1 ? line : old)),
});

describe("dataset/movielens", () => {
  const item = (data: PreparedData, id: string) => data.items.find((candidate) => candidate.id === id);
  const user = (data: PreparedData, id: string) => data.users.find((candidate) => candidate.id === id);

  for (const [name, files, size, encoding] of [
    ["RecBole's atomic files", atomic, "100k", "utf8"],
    ["RecBole's atomic files of 1M", atomic1m, "1m", "utf8"],
    ["GroupLens' 100K", groupLens100k, "100k", "latin1"],
    ["GroupLens' 1M", groupLens1m, "1m", "latin1"],
  ] as const)
    for (const ending of ["\n", "\r\n"])
      it(`reads ${name}, lines ended by ${JSON.stringify(ending)}`, async () =>
        inTemporaryFolder(async (folder) => {
          await write(folder, files, encoding, ending);
          const data = await read(folder, size);
          assert.equal(data.counts.interactions, 25);
          assert.equal(data.users.length, 5);
          assert.equal(data.counts.items, 12);
          assert.deepEqual(item(data, "1"), {
            id: "1",
            title: "Toy Story",
            fields: { genres: ["Animation", "Children's", "Comedy"], period: "1990s", year: 1995 },
          });
          assert.deepEqual(item(data, "2"), {
            id: "2",
            title: "The Godfather",
            fields: { genres: ["Action", "Crime", "Drama"], period: "1970s", year: 1972 },
          });
          assert.equal(item(data, "4")?.title, "Les Misérables");
          const [first, second] =
            size === "1m"
              ? [
                  { age: "25-34", gender: "M", occupation: "technician" },
                  { age: "56+", gender: "F", occupation: "other" },
                ]
              : [
                  { age: 24, gender: "M", occupation: "technician" },
                  { age: 53, gender: "F", occupation: "other" },
                ];
          assert.deepEqual([user(data, "1")?.fields, user(data, "2")?.fields], [first, second]);
          if (size === "100k") {
            assert.deepEqual(item(data, "3"), { id: "3", title: "unknown", fields: { genres: [] } });
            assert.deepEqual(item(data, "5"), {
              id: "5",
              title: "Land Before Time III: The Time of the Great Giving",
              fields: { genres: ["Animation"], period: "1990s", year: 1995 },
            });
          }
        }));

  it("prepares the same lists from both formats of 100K", async () =>
    inTemporaryFolder(async (folder) => {
      await write(join(folder, "a"), atomic, "utf8");
      await write(join(folder, "b"), groupLens100k);
      const [a, b] = [await read(join(folder, "a")), await read(join(folder, "b"))];
      assert.deepEqual(a.lists, b.lists);
      assert.deepEqual(a.items, b.items);
    }));

  it("prepares the same users from all forms of 1M, the one in which RecBole's converter names age and gender the wrong way round too", async () =>
    inTemporaryFolder(async (folder) => {
      const [header = "", ...rows] = atomic1m["ml-1m.user"] ?? [];
      const turned = [header, ...rows.map((row) => row.replace(/^(\d)\t(\d+)\t([MF])/, "$1\t$3\t$2"))];
      await write(join(folder, "a"), groupLens1m);
      await write(join(folder, "b"), { ...groupLens1m, ...atomic1m }, "utf8");
      await write(join(folder, "c"), { ...atomic1m, "ml-1m.user": turned }, "utf8");
      const [dat, published, converted] = [
        await read(join(folder, "a"), "1m"),
        await read(join(folder, "b"), "1m"),
        await read(join(folder, "c"), "1m"),
      ];
      assert.deepEqual([published.users, converted.users], [dat.users, dat.users]);
      assert.deepEqual(item(published, "5"), { id: "5", title: "Hate", fields: { genres: ["Drama"] } });
    }));

  it("takes the asset's folder when no path is given, and the one folder that an archive was unpacked to", async () =>
    inTemporaryFolder(async (folder) => {
      await write(join(folder, "ml-1m"), groupLens1m);
      const asked: string[] = [];
      const assets = {
        requirements: async () => [],
        folder: (id: string) => {
          asked.push(id);
          return Promise.resolve(folder);
        },
      };
      const data = await prepare(new MovieLens({ size: "1m", onBadRow: "fail" }, assets), protocolOf(), { folds: 0 });
      assert.equal(data.users.length, 5);
      assert.deepEqual(asked, ["movielens-1m"]);
      const size = identityOf(MovieLens)?.options?.properties?.size;
      assert.deepEqual(
        Object.entries(size?.assets ?? {}),
        ["100k", "1m", "10m", "20m", "25m", "32m"].map((name) => [name, [`movielens-${name}`]]),
      );
    }));

  describe("bad rows", () => {
    const cases: readonly (readonly [string, Files, string, number, string, string])[] = [
      ["a missing cell", groupLens100k, "u.data", 3, "1\t2\t3", "3 cells, not 4"],
      ["a cell too many", groupLens1m, "ratings.dat", 2, "1::2::3::4::5", "5 cells, not 4"],
      ["a rating that is none", groupLens100k, "u.data", 4, "1\t2\tgood\t881250949", 'the rating is "good", not a number from 1 to 5'],
      ["a rating out of range", atomic, "ml-100k.inter", 5, "1\t2\t6\t881250949", 'the rating is "6"'],
      ["NaN", atomic, "ml-100k.inter", 5, "1\t2\tnan\t881250949", 'the rating is "nan"'],
      ["a time that is none", groupLens1m, "ratings.dat", 7, "1::2::3::yesterday", 'the time is "yesterday"'],
      ["no user", groupLens100k, "u.data", 1, "\t2\t3\t881250949", "no user id"],
      ["an item without all its flags", groupLens100k, "u.item", 2, "2|Godfather, The (1972)|01-Jan-1972||http://x|0|1", "7 cells, not 24"],
      ["an item id used before", groupLens1m, "movies.dat", 2, "1::Other (1999)::Drama", "the id 1 is that of line 1"],
      ["an age that is none", atomic, "ml-100k.user", 3, "2\told\tF\tother\t94043", 'the age is "old"'],
      ["an unknown occupation", groupLens1m, "users.dat", 1, "1::M::25::99::85711", '"99" is no occupation'],
      ["an unknown gender", groupLens100k, "u.user", 2, "2|53|?|other|94043", 'the gender is "?"'],
      ["an age group that is none", atomic1m, "ml-1m.user", 3, "2\t24\tF\t0\t94043", '"24" is no age group'],
    ];
    for (const [what, files, name, line, text, message] of cases)
      it(`${what}: ends with file and line, or is skipped and counted`, async () =>
        inTemporaryFolder(async (folder) => {
          await write(folder, withLine(files, name, line, text), files === atomic || files === atomic1m ? "utf8" : "latin1");
          const size = files === groupLens1m || files === atomic1m ? "1m" : "100k";
          await assert.rejects(read(folder, size), coded("RLRF_DATA_ROW", message, `${join(folder, name)}:${line}`, "onBadRow"));
          const { badInteractions, badItems, badUsers, interactions } = (await read(folder, size, "skip")).counts;
          const ofRatings = ["u.data", "ratings.dat", "ml-100k.inter"].includes(name);
          assert.equal((badInteractions ?? 0) + (badItems ?? 0) + (badUsers ?? 0), 1);
          assert.equal(badInteractions, ofRatings ? 1 : 0);
          assert.equal(interactions, ofRatings ? 24 : 25);
        }));

    it("says how many there are, and names the first; blank lines are none", async () =>
      inTemporaryFolder(async (folder) => {
        const lines = interactions("\t");
        await write(folder, { ...groupLens100k, "u.data": ["", ...lines.slice(0, 3), "bad", "", "bad", ...lines.slice(3), ""] });
        await assert.rejects(read(folder), coded("RLRF_DATA_ROW", "1 cells, not 4", "the first of 2 bad rows", "u.data:5"));
        assert.equal((await read(folder, "100k", "skip")).counts.interactions, 25);
      }));
  });

  describe("bad files", () => {
    it("says which folder or file is missing, and what was expected", async () =>
      inTemporaryFolder(async (folder) => {
        await assert.rejects(read(join(folder, "none")), coded("RLRF_DATA_FILE", "no such folder", join(folder, "none")));
        await assert.rejects(
          read(folder),
          coded("RLRF_DATA_FILE", "no MovieLens 100k", "ml-100k.inter with .item and .user, or u.data with u.item and u.user"),
        );
        await write(folder, groupLens1m);
        await assert.rejects(read(folder), coded("RLRF_DATA_FILE", "no MovieLens 100k"));
        await write(folder, { "u.data": groupLens100k["u.data"] ?? [], "u.item": groupLens100k["u.item"] ?? [] });
        await assert.rejects(read(folder), coded("RLRF_DATA_FILE", "no such file", "u.user"));
      }));

    it("says which columns an atomic file lacks", async () =>
      inTemporaryFolder(async (folder) => {
        await write(folder, withLine(atomic, "ml-100k.inter", 1, "user_id:token\titem_id:token\tstars:float\ttimestamp:float"), "utf8");
        await assert.rejects(
          read(folder),
          coded("RLRF_DATA_COLUMNS", "lacks rating", "ml-100k.inter:1", "user_id, item_id, rating, timestamp"),
        );
        await write(folder, withLine(atomic, "ml-100k.item", 1, "item_id:token\ttitle:token_seq\tyear:token\tgenres:token_seq"), "utf8");
        await assert.rejects(
          read(folder),
          coded("RLRF_DATA_COLUMNS", "lacks movie_title or movie_name, class or genre or type", "ml-100k.item:1", "genres"),
        );
      }));

    it("finds the columns of an atomic file by their names, in any order", async () =>
      inTemporaryFolder(async (folder) => {
        const swapped = (atomic["ml-100k.inter"] ?? []).map((line) => line.split("\t").reverse().join("\t"));
        await write(join(folder, "a"), atomic, "utf8");
        await write(join(folder, "b"), { ...atomic, "ml-100k.inter": swapped }, "utf8");
        assert.deepEqual((await read(join(folder, "b"))).lists, (await read(join(folder, "a"))).lists);
      }));

    it("says that a file is empty, or not in its encoding", async () =>
      inTemporaryFolder(async (folder) => {
        await write(folder, { ...groupLens100k, "u.data": [] });
        await assert.rejects(read(folder), coded("RLRF_DATA_EMPTY", "no interactions"));
        await write(join(folder, "x"), atomic, "latin1");
        await assert.rejects(read(join(folder, "x")), coded("RLRF_DATA_FILE", "not UTF-8", "ml-100k.item"));
      }));
  });

  it("cleans titles", () => {
    const titles: Readonly<Record<string, { title: string; year?: number }>> = {
      "Godfather, The (1972)": { title: "The Godfather", year: 1972 },
      "American in Paris, An (1951)": { title: "An American in Paris", year: 1951 },
      "Bug's Life, A (1998)": { title: "A Bug's Life", year: 1998 },
      "Seventh Seal, The (Sjunde inseglet, Det) (1957)": { title: "The Seventh Seal (Det Sjunde inseglet)", year: 1957 },
      "Star Maker, The (Uomo delle stelle, L') (1995)": { title: "The Star Maker (L'Uomo delle stelle)", year: 1995 },
      "Horseman on the Roof, The (Hussard sur le toit, Le)": { title: "The Horseman on the Roof (Le Hussard sur le toit)" },
      "Paris, Texas (1984)": { title: "Paris, Texas", year: 1984 },
      "Truth or Consequences, N.M. (1997)": { title: "Truth or Consequences, N.M.", year: 1997 },
      "2001: A Space Odyssey (1968)": { title: "2001: A Space Odyssey", year: 1968 },
      "1-900 (1994)": { title: "1-900", year: 1994 },
      "Seven (Se7en) (1995)": { title: "Seven (Se7en)", year: 1995 },
      "Land Before Time III: The Time of the Great Giving (1995) (V)": {
        title: "Land Before Time III: The Time of the Great Giving",
        year: 1995,
      },
      "Toy Story": { title: "Toy Story" },
      unkonwn: { title: "unknown" },
    };
    for (const [raw, expected] of Object.entries(titles)) assert.deepEqual(cleanTitle(raw), expected);
  });
});
