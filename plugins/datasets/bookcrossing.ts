import { join, resolve } from "node:path";
import {
  appendItems,
  appendUsers,
  type Dataset,
  type DelimitedRow,
  type DuckDBConnection,
  delimitedRows,
  type HeadedFile,
  headedFile,
  type ItemRecord,
  keepCore,
  loadInteractions,
  type OnBadRow,
  options,
  plugin,
  type RatingScale,
  readRows,
  type UserRecord,
  uniqueIds,
  withoutMarkup,
} from "rlrf4rec";

interface BookCrossingOptions {
  readonly path: string;
  readonly implicit: "drop" | "keep";
  readonly core: number;
  readonly onBadRow: OnBadRow;
}

/**
 * BX-CSV-Dump: BX-Book-Ratings.csv, BX-Books.csv and BX-Users.csv, by ";", quoted as MySQL does (\" within a cell), latin-1, with HTML's
 * entities in titles. The known faults of the dump are mended or counted: titles that swallowed their author (`…\";Author`),
 * years of 0, ages that are none, and books that were rated but are not described.
 * Nothing tells when a book was rated: the order of the file stands for that of time.
 */
@plugin({
  kind: "dataset",
  name: "bookcrossing",
  version: "1.0.0",
  summary: "Book-Crossing: 434,000 explicit ratings (1 to 10) of 186,000 books, with authors, years and publishers; without times",
  source: "Ziegler, McNee, Konstan & Lausen 2005, doi 10.1145/1060745.1060754; the files of BX-CSV-Dump.zip",
  options: {
    type: "object",
    required: ["path"],
    properties: {
      path: {
        type: "string",
        minLength: 1,
        file: "instead",
        description: "The folder of BX-Book-Ratings.csv, BX-Books.csv and BX-Users.csv; their site is no longer there to fetch them from",
      },
      implicit: {
        enum: ["drop", "keep"],
        default: "drop",
        description:
          "Of ratings of 0, which say that a book was met but not what was thought of it: keep them as interactions that are not relevant, or not",
      },
      core: {
        type: "integer",
        minimum: 0,
        default: 0,
        unit: "interactions",
        description: "Users and books with fewer are left out, until none is left (k-core); 0 or 1 = all stay",
      },
      onBadRow: {
        enum: ["fail", "skip"],
        default: "skip",
        description: "What a malformed line does: end the run, or be skipped and counted. The published files have some",
      },
    },
  },
})
export class BookCrossing implements Dataset {
  /**
   * 8 and more are relevant: 58% of the explicit ratings, as near to MovieLens' share above 3 (55% to 58%) as the scale allows.
   * TALLRec (arXiv 2305.00447) takes 5 instead, by which 3 of 4 are: set protocol.relevantAbove for that.
   */
  readonly relevantAbove = 7;
  readonly ratingScale: RatingScale;

  constructor(@options() private readonly options: BookCrossingOptions) {
    this.ratingScale = { lowest: options.implicit === "keep" ? 0 : 1, highest: 10 };
  }

  async load(connection: DuckDBConnection): Promise<Record<string, number>> {
    const { implicit, core, onBadRow } = this.options;
    const ratings = await this.table("BX-Book-Ratings.csv", ["User-ID", "ISBN", "Book-Rating"]);
    const books = await this.table("BX-Books.csv", ["ISBN", "Book-Title", "Book-Author", "Year-Of-Publication", "Publisher"]);
    const people = await this.table("BX-Users.csv", ["User-ID", "Location", "Age"]);
    const columns = { user: ratings.column("User-ID"), item: ratings.column("ISBN"), rating: ratings.column("Book-Rating") };
    const badInteractions = await loadInteractions(connection, delimitedRows(ratings.file, columns), { ratings: [0, 10] }, onBadRow);
    const implicitDropped = implicit === "drop" ? await dropImplicit(connection) : 0;
    const outsideCore = await keepCore(connection, core);
    const mended = new Set<string>();
    const { width: _, ...anyWidth } = books.file;
    const items = await readRows(
      anyWidth,
      onBadRow,
      uniqueIds((row) => book(row, books, mended)),
    );
    await appendItems(connection, items.rows);
    const users = await readRows(
      people.file,
      onBadRow,
      uniqueIds((row) => reader(row, people)),
    );
    await appendUsers(connection, users.rows);
    return { badInteractions, badItems: items.bad, badUsers: users.bad, mendedItems: mended.size, implicitDropped, outsideCore };
  }

  private table(name: string, wanted: readonly string[]): Promise<HeadedFile> {
    const form = { encoding: "latin-1", separator: ";", quotes: "backslash" } as const;
    return headedFile({ ...form, path: join(resolve(this.options.path), name) }, wanted);
  }
}

async function dropImplicit(connection: DuckDBConnection): Promise<number> {
  return Number((await connection.run("DELETE FROM interactions WHERE rating = 0")).rowsChanged);
}

function book(row: DelimitedRow, books: HeadedFile, mended: Set<string>): ItemRecord {
  const cells = mendedCells(row.cells, books);
  if (cells.length !== books.file.width)
    throw new Error(`${cells.length} cells, not ${books.file.width}: "${cells.join(";").slice(0, 80)}"`);
  const cell = (name: string) => withoutMarkup(books.cell({ line: row.line, cells }, name));
  const id = cell("ISBN");
  if (cells !== row.cells) mended.add(id);
  const year = Number(cell("Year-Of-Publication"));
  return {
    id,
    title: cell("Book-Title"),
    fields: {
      ...known("author", cell("Book-Author")),
      // 0 and years to come stand for years that nobody told.
      ...(Number.isInteger(year) && year >= 1000 && year <= lastYear ? { period: `${Math.floor(year / 10) * 10}s`, year } : {}),
      ...known("publisher", cell("Publisher")),
    },
  };
}

/** The ratings were collected in August and September 2004. */
const lastYear = 2005;

/** In some rows the quote that ends the title was escaped, so that the title goes on with `";` and the author, and all else stands one cell early. */
function mendedCells(cells: readonly string[], { file, column }: HeadedFile): readonly string[] {
  const at = column("Book-Title");
  const [, title, author] = /^(.*)";(.*)$/s.exec(cells[at] ?? "") ?? [];
  if (cells.length !== file.width - 1 || title === undefined || author === undefined) return cells;
  return [...cells.slice(0, at), title, author, ...cells.slice(at + 1)];
}

function reader(row: DelimitedRow, people: HeadedFile): UserRecord {
  const age = Number(people.cell(row, "Age"));
  const place = withoutMarkup(people.cell(row, "Location"))
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "" && part !== "n/a");
  return {
    id: people.cell(row, "User-ID").trim(),
    // Ages from 5 to 100; the file has some of 0 and 244.
    fields: { ...(Number.isInteger(age) && age >= 5 && age <= 100 ? { age } : {}), ...known("country", place.at(-1) ?? "") },
  };
}

const known = (name: string, value: string): Record<string, string> => (value === "" || value === "NULL" ? {} : { [name]: value });
