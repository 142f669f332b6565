import { createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import {
  appendItems,
  type Dataset,
  type DuckDBConnection,
  dropDuplicates,
  firstLine,
  type ItemRecord,
  keepCore,
  loadInteractions,
  type OnBadRow,
  options,
  plugin,
  RowFaults,
  textLines,
} from "rlrf4rec";
import { type CategoryFiles, type EditionName, editions, filesOf, interactionRows } from "./amazon-reviews/editions.js";
import { parseLoose } from "./amazon-reviews/loose-json.js";
import { type Metadata, productOf } from "./amazon-reviews/metadata.js";

interface AmazonOptions {
  readonly edition: EditionName;
  readonly category: string;
  readonly path: string;
  readonly core: number;
  readonly onBadRow: OnBadRow;
}

/**
 * Reviews of one category with its products' metadata, as published: `reviews_Books_5.json.gz` (2014, JSON or Python's dictionaries),
 * `Books_5.json.gz` (2018), `Books.jsonl.gz` (2023), or the files of ratings alone, and `meta_…` beside them. Ratings that
 * stand twice in the files, as some of 2018 do, count once; so does the first of several descriptions of a product.
 */
@plugin({
  kind: "dataset",
  name: "amazon-reviews",
  version: "1.0.0",
  summary:
    "Amazon reviews, editions 2014, 2018 and 2023, of one category (Books, Beauty, …), with titles, categories, authors or brands, prices",
  source:
    "2014: McAuley et al. 2015, arXiv 1506.04757; 2018: Ni et al. 2019, doi 10.18653/v1/D19-1018; 2023: Hou et al. 2024, arXiv 2403.03952",
  options: {
    type: "object",
    required: ["path"],
    properties: {
      edition: {
        enum: ["2014", "2018", "2023"],
        default: "2014",
        description: "Whose forms and names of files; the parent product is the item in 2023",
      },
      category: {
        type: "string",
        pattern: "^[A-Z][A-Za-z0-9_]*$",
        default: "Books",
        description: "As the files' names have it: Books, Beauty (2014), Luxury_Beauty (2018), All_Beauty (2018, 2023), …",
      },
      path: {
        type: "string",
        minLength: 1,
        file: "instead",
        description: "The folder of the category's two files, gzipped or not; nobody publishes checksums of them, so they are not fetched",
      },
      core: {
        type: "integer",
        minimum: 0,
        default: 5,
        unit: "interactions",
        description: "Users and products with fewer are left out, until none is left (k-core); 0 or 1 = all stay",
      },
      onBadRow: {
        enum: ["fail", "skip"],
        default: "fail",
        description: "What a malformed line does: end the run, or be skipped and counted",
      },
    },
  },
})
export class AmazonReviews implements Dataset {
  readonly relevantAbove = 4;
  readonly ratingScale = { lowest: 1, highest: 5 };

  constructor(@options() private readonly options: AmazonOptions) {}

  async load(connection: DuckDBConnection): Promise<Record<string, number>> {
    const { edition, category, path, core } = this.options;
    const files = filesOf(resolve(path), edition, category);
    const badInteractions = await this.loadReviews(connection, files.interactions);
    const duplicateInteractions = await dropDuplicates(connection);
    const outsideCore = await keepCore(connection, core);
    return { badInteractions, duplicateInteractions, outsideCore, ...(await this.loadProducts(connection, files.metadata)) };
  }

  private async loadReviews(connection: DuckDBConnection, file: CategoryFiles["interactions"]): Promise<number> {
    const { edition, onBadRow } = this.options;
    const { timeUnit, keys } = editions[edition];
    const meaning = { ratings: [1, 5], timeUnit } as const;
    const rows = await interactionRows(file, edition);
    const loose = file.form === "json" && (await firstLine({ path: file.path, encoding: "utf-8" })).startsWith("{'");
    if (!loose) return loadInteractions(connection, rows, meaning, onBadRow);
    const folder = await mkdtemp(join(tmpdir(), "rlrf-amazon-"));
    try {
      const strict = join(folder, "reviews.json");
      await pipeline(Readable.from(strictLines(file.path, Object.values(keys))), createWriteStream(strict));
      const { sql } = await interactionRows({ path: strict, form: "json" }, edition);
      return await loadInteractions(connection, { ...rows, sql }, meaning, onBadRow);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** Of the products that anyone rated; the first of several descriptions. */
  private async loadProducts(connection: DuckDBConnection, path: string): Promise<Record<string, number>> {
    const { category, onBadRow } = this.options;
    const rated = new Set((await connection.runAndReadAll("SELECT DISTINCT item FROM interactions")).getColumns()[0] as string[]);
    const faults = new RowFaults(path, onBadRow);
    const described = new Set<string>();
    let duplicateItems = 0;
    async function* products(): AsyncGenerator<ItemRecord> {
      for await (const { number, text } of textLines({ path, encoding: "utf-8" })) {
        if (text.trim() === "") continue;
        const product = faults.attempt(number, () => productOf(objectOf(text), category) ?? fail("no product id (asin)"));
        if (product === null || !rated.has(product.id)) continue;
        if (described.has(product.id)) duplicateItems++;
        else yield product;
        described.add(product.id);
      }
    }
    await appendItems(connection, products());
    return { badItems: faults.count(), duplicateItems };
  }
}

function objectOf(text: string): Metadata {
  const value = parseLoose(text);
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Metadata) : fail("no dictionary");
}

function fail(message: string): never {
  throw new Error(message);
}

/** Each line as JSON of the keys that are needed; a line that cannot be read stays as it is, to be found bad by its number. */
async function* strictLines(path: string, keys: readonly string[]): AsyncGenerator<string> {
  for await (const { text } of textLines({ path, encoding: "utf-8" })) {
    let line = text;
    try {
      const review = objectOf(text);
      line = JSON.stringify(Object.fromEntries(keys.map((key) => [key, review[key]])));
    } catch {} // the loader tells
    yield `${line}\n`;
  }
}
