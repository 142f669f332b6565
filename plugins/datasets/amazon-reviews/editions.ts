/** How the three editions name their files and their keys, and where they are. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { delimitedRows, headedFile, type InteractionColumns, type InteractionRows, jsonLineRows, RlrfError } from "rlrf4rec";

export type EditionName = "2014" | "2018" | "2023";

interface Edition {
  /** Names of files of reviews, the k-core before all; each may be gzipped. */
  readonly reviews: (category: string) => readonly string[];
  readonly keys: InteractionColumns<string>;
  readonly timeUnit: "seconds" | "milliseconds";
  /** Names of files of ratings alone. */
  readonly ratings: (category: string) => readonly string[];
  /** The cells of their rows in order; null: a header names them as `keys`. */
  readonly cells: readonly (keyof InteractionColumns<unknown>)[] | null;
  readonly metadata: (category: string) => string;
  readonly home: string;
}

const before2023 = { user: "reviewerID", item: "asin", rating: "overall", time: "unixReviewTime" } as const;

export const editions: Readonly<Record<EditionName, Edition>> = {
  "2014": {
    reviews: (category) => [`reviews_${category}_5.json`, `reviews_${category}.json`],
    keys: before2023,
    timeUnit: "seconds",
    ratings: (category) => [`ratings_${category}.csv`],
    cells: ["user", "item", "rating", "time"],
    metadata: (category) => `meta_${category}.json`,
    home: "https://snap.stanford.edu/data/amazon/productGraph/categoryFiles/",
  },
  "2018": {
    reviews: (category) => [`${category}_5.json`, `${category}.json`],
    keys: before2023,
    timeUnit: "seconds",
    ratings: (category) => [`${category}.csv`],
    cells: ["item", "user", "rating", "time"],
    metadata: (category) => `meta_${category}.json`,
    home: "https://jmcauley.ucsd.edu/data/amazon_v2/",
  },
  "2023": {
    reviews: (category) => [`${category}.jsonl`],
    keys: { user: "user_id", item: "parent_asin", rating: "rating", time: "timestamp" },
    timeUnit: "milliseconds",
    ratings: (category) => [`${category}.csv`],
    cells: null,
    metadata: (category) => `meta_${category}.jsonl`,
    home: "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_2023/",
  },
};

/** The files of one category. */
export interface CategoryFiles {
  readonly interactions: { readonly path: string; readonly form: "json" | "csv" };
  readonly metadata: string;
}

/** @throws RLRF_DATA_FILE */
export function filesOf(folder: string, edition: EditionName, category: string): CategoryFiles {
  const { reviews, ratings, metadata, home } = editions[edition];
  const missing = (what: string, names: readonly string[]) =>
    new RlrfError("RLRF_DATA_FILE", {
      message: `no ${what} of ${category}, edition ${edition}, in this folder`,
      where: folder,
      expected: `${names.join(" or ")}, or gzipped (.gz)`,
      hint: `the edition's files are listed under ${home}`,
    });
  const json = found(folder, reviews(category));
  const csv = json ?? found(folder, ratings(category));
  if (csv === undefined) throw missing("reviews", [...reviews(category), ...ratings(category)]);
  const meta = found(folder, [metadata(category)]);
  if (meta === undefined) throw missing("metadata", [metadata(category)]);
  return { interactions: { path: csv, form: json === undefined ? "csv" : "json" }, metadata: meta };
}

function found(folder: string, names: readonly string[]): string | undefined {
  return names.flatMap((name) => [join(folder, name), join(folder, `${name}.gz`)]).find((path) => existsSync(path));
}

export async function interactionRows({ path, form }: CategoryFiles["interactions"], edition: EditionName): Promise<InteractionRows> {
  const { keys, cells } = editions[edition];
  if (form === "json") return jsonLineRows(path, keys);
  const text = { path, encoding: "utf-8", separator: ",", quotes: "double" } as const;
  if (cells !== null) {
    const at = (name: keyof InteractionColumns<unknown>) => cells.indexOf(name);
    return delimitedRows(
      { ...text, width: cells.length, skip: 0 },
      { user: at("user"), item: at("item"), rating: at("rating"), time: at("time") },
    );
  }
  const { file, column } = await headedFile(text, Object.values(keys));
  const at = (name: keyof typeof keys) => column(keys[name] as string);
  return delimitedRows(file, { user: at("user"), item: at("item"), rating: at("rating"), time: at("time") });
}
