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
import { codedViewer, movie, noGenres, plainViewer, type ViewerOf } from "./records.js";

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

/** RecBole's atomic files: a header of typed names (`user_id:token`), tabs, UTF-8. @param viewerOf absent where there is no .user file */
export function atomic(name: string, viewerOf?: ViewerOf): Format {
  return {
    ratings: `${name}.inter`,
    others: viewerOf ? ".item and .user" : ".item",
    files: async (path) => {
      const stem = path.slice(0, -".inter".length);
      const inter = await atomicTable(`${stem}.inter`, ["user_id", "item_id", "rating", "timestamp"]);
      const columns = {
        user: inter.column("user_id"),
        item: inter.column("item_id"),
        rating: inter.column("rating"),
        time: inter.column("timestamp"),
      };
      return {
        interactions: delimitedRows(inter.file, columns),
        items: await atomicMovies(`${stem}.item`),
        ...(viewerOf && { users: await atomicViewers(`${stem}.user`, viewerOf) }),
      };
    },
  };
}

/** RecBole names a column otherwise in each size, and not every version of its converter tells the year. */
async function atomicMovies(path: string): Promise<RecordFile<ItemRecord>> {
  const { names } = await atomicTable(path, []);
  const named = (...spellings: readonly string[]) => spellings.find((name) => names.includes(name)) ?? spellings.join(" or ");
  const [title, genres] = [named("movie_title", "movie_name"), named("class", "genre", "type")];
  const { file, cell } = await atomicTable(path, ["item_id", title, genres]);
  const genresOf = (text: string) => text.replace(noGenres, "").split(" ");
  return {
    file,
    parse: (row) => movie(cell(row, "item_id"), cell(row, title), genresOf(cell(row, genres)), cell(row, "release_year")),
  };
}

async function atomicViewers(path: string, viewerOf: ViewerOf): Promise<RecordFile<UserRecord>> {
  const { file, cell } = await atomicTable(path, ["user_id", "age", "gender", "occupation"]);
  return { file, parse: (row) => viewerOf(cell(row, "user_id"), cell(row, "age"), cell(row, "gender"), cell(row, "occupation")) };
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
        parse: ({ cells: [id = "", age = "", gender = "", occupation = ""] }) => plainViewer(id, age, gender, occupation),
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
              parse: ({ cells: [id = "", gender = "", age = "", occupation = ""] }) => codedViewer(id, age, gender, occupation),
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
