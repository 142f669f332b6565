/** The forms in which MovieLens is published: GroupLens' own of each size, and RecBole's atomic files. */
import { join } from "node:path";
import {
  type DelimitedFile,
  type DelimitedRow,
  delimitedRows,
  headedFile,
  type InteractionRows,
  type ItemRecord,
  type UserRecord,
} from "rlrf4rec";
import { ageOf, codedViewer, movie, viewer } from "./records.js";

export interface RecordFile<Row> {
  readonly file: DelimitedFile;
  readonly parse: (row: DelimitedRow) => Row;
}
export interface Files {
  readonly interactions: InteractionRows;
  readonly items: RecordFile<ItemRecord>;
  /** From 10M on nothing is told of the viewers. */
  readonly users?: RecordFile<UserRecord>;
}
export interface Format {
  /** The file that holds the ratings, by which the format is known. */
  readonly ratings: string;
  /** What lies beside it, for errors. */
  readonly others: string;
  readonly files: (path: string) => Files | Promise<Files>;
}

/** RecBole's atomic files: a header of typed names (`user_id:token`), tabs, UTF-8. @param viewers whether there is a .user file */
export function atomic(name: string, viewers: boolean): Format {
  return {
    ratings: `${name}.inter`,
    others: viewers ? ".item and .user" : ".item",
    files: async (path) => {
      const stem = path.slice(0, -".inter".length);
      const inter = await atomicTable(`${stem}.inter`, ["user_id", "item_id", "rating", "timestamp"]);
      const item = await atomicTable(`${stem}.item`, ["item_id", "movie_title", "release_year", "class"]);
      const columns = {
        user: inter.column("user_id"),
        item: inter.column("item_id"),
        rating: inter.column("rating"),
        time: inter.column("timestamp"),
      };
      return {
        interactions: delimitedRows(inter.file, columns),
        items: {
          file: item.file,
          parse: (row) =>
            movie(
              item.cell(row, "item_id"),
              item.cell(row, "movie_title"),
              item.cell(row, "class").split(" "),
              item.cell(row, "release_year"),
            ),
        },
        ...(viewers ? { users: await atomicViewers(`${stem}.user`) } : {}),
      };
    },
  };
}

async function atomicViewers(path: string): Promise<RecordFile<UserRecord>> {
  const { file, cell } = await atomicTable(path, ["user_id", "age", "gender", "occupation"]);
  return { file, parse: (row) => viewer(cell(row, "user_id"), ageOf(cell(row, "age")), cell(row, "gender"), cell(row, "occupation")) };
}

const atomicTable = (path: string, wanted: readonly string[]) => headedFile({ path, encoding: "utf-8", separator: "\t" }, wanted);

const genres100k =
  "unknown Action Adventure Animation Children's Comedy Crime Documentary Drama Fantasy Film-Noir Horror Musical Mystery Romance Sci-Fi Thriller War Western".split(
    " ",
  );

/** What every size's ratings hold, in this order. */
const ratingColumns = { user: 0, item: 1, rating: 2, time: 3 } as const;

/** u.data by tabs, u.item (movie, title, release, video release, URL, then a flag a genre) and u.user by "|", latin-1. */
export const groupLens100k: Format = {
  ratings: "u.data",
  others: "u.item and u.user",
  files: (path) => {
    const text = { skip: 0, encoding: "latin-1" } as const;
    return {
      interactions: delimitedRows({ ...text, path, separator: "\t", width: 4 }, ratingColumns),
      items: {
        file: { ...text, path: join(path, "..", "u.item"), separator: "|", width: 5 + genres100k.length },
        parse: ({ cells: [id = "", title = "", released = "", , , ...flags] }) =>
          movie(
            id,
            title,
            genres100k.filter((_, genre) => flags[genre]?.trim() === "1"),
            released.slice(-4),
          ),
      },
      users: {
        file: { ...text, path: join(path, "..", "u.user"), separator: "|", width: 5 },
        parse: ({ cells: [id = "", age = "", gender = "", occupation = ""] }) => viewer(id, ageOf(age), gender, occupation),
      },
    };
  },
};

/** ratings.dat, movies.dat (movie, title, genres by "|") and, of 1M alone, users.dat (user, gender, age group, occupation, zip), by "::". */
export function groupLensDat(encoding: DelimitedFile["encoding"], viewers: boolean): Format {
  const form = { separator: "::", skip: 0, encoding } as const;
  return {
    ratings: "ratings.dat",
    others: viewers ? "movies.dat and users.dat" : "movies.dat",
    files: (path) => ({
      interactions: delimitedRows({ ...form, path, width: 4 }, ratingColumns),
      items: {
        file: { ...form, path: join(path, "..", "movies.dat"), width: 3 },
        parse: ({ cells: [id = "", title = "", genres = ""] }) => movie(id, title, genres.split("|"), ""),
      },
      ...(viewers
        ? {
            users: {
              file: { ...form, path: join(path, "..", "users.dat"), width: 5 },
              parse: ({ cells: [id = "", gender = "", age = "", occupation = ""] }) => codedViewer(id, gender, age, occupation),
            },
          }
        : {}),
    }),
  };
}

/** ratings.csv and movies.csv with headers, UTF-8; a title with a comma in it stands in quotes. */
export const groupLensCsv: Format = {
  ratings: "ratings.csv",
  others: "movies.csv",
  files: async (path) => {
    const table = (name: string, wanted: readonly string[]) =>
      headedFile({ path: join(path, "..", name), encoding: "utf-8", separator: ",", quotes: "double" }, wanted);
    const rated = await table("ratings.csv", ["userId", "movieId", "rating", "timestamp"]);
    const films = await table("movies.csv", ["movieId", "title", "genres"]);
    const { column } = rated;
    return {
      interactions: delimitedRows(rated.file, {
        user: column("userId"),
        item: column("movieId"),
        rating: column("rating"),
        time: column("timestamp"),
      }),
      items: {
        file: films.file,
        parse: (row) => movie(films.cell(row, "movieId"), films.cell(row, "title"), films.cell(row, "genres").split("|"), ""),
      },
    };
  },
};
