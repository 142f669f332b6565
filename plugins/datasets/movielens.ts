import type { Dirent } from "node:fs";
import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import {
  type Assets,
  appendItems,
  appendUsers,
  assets,
  type Dataset,
  type DelimitedFile,
  type DelimitedRow,
  type DuckDBConnection,
  type InteractionFile,
  type ItemRecord,
  loadInteractions,
  type OnBadRow,
  options,
  plugin,
  readLines,
  readRows,
  RlrfError,
  type UserRecord,
} from "rlrf4rec";

interface MovieLensOptions {
  readonly size: "100k" | "1m";
  readonly path?: string;
  readonly onBadRow: OnBadRow;
}

@plugin({
  kind: "dataset",
  name: "movielens",
  version: "1.0.0",
  summary: "MovieLens 100K and 1M: ratings of movies with genres, years and the raters' age, gender and occupation",
  source: "Harper & Konstan 2015, doi 10.1145/2827872; files as GroupLens publishes them, or as RecBole's atomic files",
  options: {
    type: "object",
    properties: {
      size: {
        enum: ["100k", "1m"],
        default: "100k",
        description: "Which MovieLens",
        assets: { "100k": ["movielens-100k"], "1m": ["movielens-1m"] },
      },
      path: {
        type: "string",
        minLength: 1,
        file: "instead",
        description: "A folder that holds the files already, instead of fetching them",
      },
      onBadRow: {
        enum: ["fail", "skip"],
        default: "fail",
        description: "What a malformed line does: end the run, or be skipped and counted",
      },
    },
  },
})
export class MovieLens implements Dataset {
  readonly relevantAbove = 3;

  constructor(
    @options() private readonly options: MovieLensOptions,
    @assets() private readonly assets: Assets,
  ) {}

  async load(connection: DuckDBConnection): Promise<Record<string, number>> {
    const { size, path, onBadRow } = this.options;
    const folder = path === undefined ? await this.assets.folder(`movielens-${size}`) : resolve(path);
    const files = await findFiles(folder, size);
    const badInteractions = await loadInteractions(connection, files.interactions, onBadRow);
    const items = await readRows(files.items.file, onBadRow, unique(files.items.parse));
    await appendItems(connection, items.rows);
    const users = await readRows(files.users.file, onBadRow, unique(files.users.parse));
    await appendUsers(connection, users.rows);
    return { badInteractions, badItems: items.bad, badUsers: users.bad };
  }
}

interface RecordFile<Row> {
  readonly file: DelimitedFile;
  readonly parse: (row: DelimitedRow) => Row;
}
interface Files {
  readonly interactions: InteractionFile;
  readonly items: RecordFile<ItemRecord>;
  readonly users: RecordFile<UserRecord>;
}

/** By the name of the file that holds the ratings. */
const formats: readonly {
  readonly size: MovieLensOptions["size"];
  readonly ratings: string;
  readonly files: (path: string) => Files | Promise<Files>;
}[] = [
  { size: "100k", ratings: "ml-100k.inter", files: atomicFiles },
  { size: "100k", ratings: "u.data", files: grouplens100k },
  { size: "1m", ratings: "ml-1m.inter", files: atomicFiles },
  { size: "1m", ratings: "ratings.dat", files: grouplens1m },
];

/** The files lie in the folder itself, or in the one folder that an archive was unpacked to. */
async function findFiles(folder: string, size: MovieLensOptions["size"]): Promise<Files> {
  const entries = await entriesOf(folder);
  const nested = await Promise.all(entries.filter((entry) => entry.isDirectory()).map(({ name }) => entriesOf(join(folder, name))));
  for (const format of formats.filter((candidate) => candidate.size === size)) {
    const found = [entries, ...nested].flat().find((entry) => entry.isFile() && entry.name === format.ratings);
    if (found !== undefined) return format.files(join(found.parentPath, found.name));
  }
  throw new RlrfError("RLRF_DATA_FILE", {
    message: `no MovieLens ${size} in this folder`,
    where: folder,
    expected:
      size === "100k"
        ? "u.data, u.item and u.user, or ml-100k.inter, .item and .user"
        : "ratings.dat, movies.dat and users.dat, or ml-1m.inter, .item and .user",
  });
}

function entriesOf(folder: string): Promise<Dirent[]> {
  return readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw new RlrfError(
      "RLRF_DATA_FILE",
      { message: "there is no such folder, or it cannot be read", where: folder, hint: "check the dataset's option `path`" },
      { cause },
    );
  });
}

const ratings = [1, 5] as const;

/** RecBole's atomic files: a header of typed names (`user_id:token`), tabs, UTF-8. */
async function atomicFiles(path: string): Promise<Files> {
  const stem = path.slice(0, -".inter".length);
  const table = async (suffix: string, wanted: readonly string[]) => {
    const file = { path: stem + suffix, separator: "\t", skip: 1, encoding: "utf-8" } as const;
    const names = ((await readLines(file))[0] as string).split("\t").map((name) => name.split(":")[0] as string);
    const missing = wanted.filter((name) => !names.includes(name));
    if (missing.length > 0)
      throw new RlrfError("RLRF_DATA_COLUMNS", {
        message: `the header lacks ${missing.join(", ")}`,
        where: `${file.path}:1`,
        expected: wanted.join(", "),
      });
    return { file: { ...file, width: names.length }, column: (name: string) => names.indexOf(name) };
  };
  const inter = await table(".inter", ["user_id", "item_id", "rating", "timestamp"]);
  const item = await table(".item", ["item_id", "movie_title", "release_year", "class"]);
  const user = await table(".user", ["user_id", "age", "gender", "occupation"]);
  const cell = ({ cells }: DelimitedRow, column: number) => cells[column] as string;
  return {
    interactions: {
      ...inter.file,
      columns: {
        user: inter.column("user_id"),
        item: inter.column("item_id"),
        rating: inter.column("rating"),
        time: inter.column("timestamp"),
      },
      ratings,
    },
    items: {
      file: item.file,
      parse: (row) =>
        movie(
          cell(row, item.column("item_id")),
          cell(row, item.column("movie_title")),
          cell(row, item.column("class")).split(" "),
          cell(row, item.column("release_year")),
        ),
    },
    users: {
      file: user.file,
      parse: (row) =>
        viewer(
          cell(row, user.column("user_id")),
          ageOf(cell(row, user.column("age"))),
          cell(row, user.column("gender")),
          cell(row, user.column("occupation")),
        ),
    },
  };
}

const genres100k =
  "unknown Action Adventure Animation Children's Comedy Crime Documentary Drama Fantasy Film-Noir Horror Musical Mystery Romance Sci-Fi Thriller War Western".split(
    " ",
  );

/** GroupLens' 100K: u.data by tabs, u.item (movie, title, release, video release, URL, then a flag a genre) and u.user by "|", latin-1. */
function grouplens100k(path: string): Files {
  const sibling = (name: string) => ({ path: join(path, "..", name), separator: "|", skip: 0, encoding: "latin-1" }) as const;
  return {
    interactions: {
      path,
      separator: "\t",
      width: 4,
      skip: 0,
      encoding: "latin-1",
      columns: { user: 0, item: 1, rating: 2, time: 3 },
      ratings,
    },
    items: {
      file: { ...sibling("u.item"), width: 5 + genres100k.length },
      parse: ({ cells: [id = "", title = "", released = "", , , ...flags] }) =>
        movie(
          id,
          title,
          genres100k.filter((_, genre) => flags[genre]?.trim() === "1"),
          released.slice(-4),
        ),
    },
    users: {
      file: { ...sibling("u.user"), width: 5 },
      parse: ({ cells: [id = "", age = "", gender = "", occupation = ""] }) => viewer(id, ageOf(age), gender, occupation),
    },
  };
}

/** Coded in users.dat; from the data set's README. */
const ageGroups: Readonly<Record<string, string>> = {
  1: "under 18",
  18: "18-24",
  25: "25-34",
  35: "35-44",
  45: "45-49",
  50: "50-55",
  56: "56+",
};
const occupations = (
  "other,educator,artist,clerical,college student,customer service,doctor,executive,farmer,homemaker,K-12 student,lawyer,programmer,retired," +
  "sales,scientist,self-employed,technician,craftsman,unemployed,writer"
).split(",");

/** GroupLens' 1M: ratings.dat, movies.dat (movie, title, genres by "|") and users.dat (user, gender, age group, occupation, zip), by "::", latin-1. */
function grouplens1m(path: string): Files {
  const sibling = (name: string) => ({ path: join(path, "..", name), separator: "::", skip: 0, encoding: "latin-1" }) as const;
  return {
    interactions: { ...sibling("ratings.dat"), width: 4, columns: { user: 0, item: 1, rating: 2, time: 3 }, ratings },
    items: {
      file: { ...sibling("movies.dat"), width: 3 },
      parse: ({ cells: [id = "", title = "", genres = ""] }) => movie(id, title, genres.split("|"), ""),
    },
    users: {
      file: { ...sibling("users.dat"), width: 5 },
      parse: ({ cells: [id = "", gender = "", age = "", occupation = ""] }) =>
        viewer(id, known(ageGroups[age], "age group", age), gender, known(occupations[Number(occupation)], "occupation", occupation)),
    },
  };
}

function known(meaning: string | undefined, what: string, code: string): string {
  if (meaning === undefined) throw new Error(`"${code}" is no ${what}`);
  return meaning;
}

function ageOf(text: string): number {
  const age = Number(text);
  if (text.trim() === "" || !Number.isInteger(age) || age < 0) throw new Error(`the age is "${text}"`);
  return age;
}

function viewer(id: string, age: number | string, gender: string, occupation: string): UserRecord {
  if (gender !== "M" && gender !== "F") throw new Error(`the gender is "${gender}", not M or F`);
  return { id: id.trim(), fields: { age, gender, occupation } };
}

function movie(id: string, rawTitle: string, genres: readonly string[], released: string): ItemRecord {
  const { title, year = /^\d{4}$/.test(released) ? Number(released) : undefined } = cleanTitle(rawTitle);
  const known = genres.map((genre) => genre.trim()).filter((genre) => genre !== "" && genre !== "unknown");
  return {
    id: id.trim(),
    title,
    fields: { genres: known, ...(year === undefined ? {} : { period: `${Math.floor(year / 10) * 10}s`, year }) },
  };
}

const articles = "The|A|An|La|Le|Les|L'|Il|Lo|El|Los|Las|Das|Der|Die|Det|Den|De|Un|Une|O";
const trailingArticle = new RegExp(`(^|\\()([^()]*?), (${articles})(?=\\s*\\(|\\)|$)`, "g");

/** "Godfather, The (1972)" becomes "The Godfather" and 1972; titles in brackets are turned as well. */
export function cleanTitle(raw: string): { readonly title: string; readonly year?: number } {
  const [, name = "", year] = /^(.*?)(?:\s*\((\d{4})\))?(?:\s*\(V\))?\s*$/.exec(raw.trim()) ?? [];
  const title = name.replace(
    trailingArticle,
    (_, open: string, words: string, article: string) => `${open}${article}${article.endsWith("'") ? "" : " "}${words}`,
  );
  return { title: title === "unkonwn" ? "unknown" : title, ...(year === undefined ? {} : { year: Number(year) }) };
}

/** Calls a row bad whose id stood in an earlier one, or is empty. */
function unique<Row extends { readonly id: string }>(parse: (row: DelimitedRow) => Row): (row: DelimitedRow) => Row {
  const lines = new Map<string, number>();
  return (row) => {
    const record = parse(row);
    if (record.id === "") throw new Error("no id");
    if (lines.has(record.id)) throw new Error(`the id ${record.id} is that of line ${lines.get(record.id)}`);
    lines.set(record.id, row.line);
    return record;
  };
}
