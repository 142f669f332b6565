/** Delimited text files of datasets, read so that every bad row is known by its line. Exported to dataset plugins. */
import fs from "node:fs/promises";
import type { DuckDBConnection } from "@duckdb/node-api";
import { RlrfError } from "../errors.js";
import { linesOf } from "../store/files.js";
import { numbersOf, quoted } from "./database.js";

export type OnBadRow = "fail" | "skip";

export interface DelimitedFile {
  readonly path: string;
  readonly separator: string;
  /** Cells of a row. */
  readonly width: number;
  /** Lines before the first row. */
  readonly skip: number;
  readonly encoding: "utf-8" | "latin-1";
}

export interface InteractionFile extends DelimitedFile {
  /** Cells that hold the interaction, counted from 0. */
  readonly columns: { readonly user: number; readonly item: number; readonly rating: number; readonly time: number };
  /** Lowest and highest rating that is possible. */
  readonly ratings: readonly [number, number];
}

/**
 * Fills `interactions` from a file of any size; `row` is the line. Blank lines are passed over.
 * @returns the number of bad rows, all skipped @throws RLRF_DATA_FILE; RLRF_DATA_ROW unless they are to be skipped
 */
export async function loadInteractions(connection: DuckDBConnection, file: InteractionFile, onBadRow: OnBadRow): Promise<number> {
  await assertFile(file.path);
  const cell = (column: keyof InteractionFile["columns"]) => `trim(cells[${file.columns[column] + 1}])`;
  const [low, high] = file.ratings;
  const rating = `try_cast(${cell("rating")} AS DOUBLE)`;
  try {
    // A row that does not fit becomes one with NULLs, so that one pass over the file both loads and finds it.
    await connection.run(`
      INSERT INTO interactions
      SELECT nullif(${cell("user")}, ''), nullif(${cell("item")}, ''), CASE WHEN ${rating} BETWEEN ${low} AND ${high} THEN ${rating} END,
             try_cast(try_cast(${cell("time")} AS DOUBLE) AS BIGINT), line
      FROM (SELECT line, CASE WHEN len(string_split(text, ${quoted(file.separator)})) = ${file.width} THEN string_split(text, ${quoted(file.separator)}) END AS cells
            FROM (SELECT row_number() OVER () AS line, text FROM ${linesOfFile(file)})
            WHERE line > ${file.skip} AND trim(coalesce(text, '')) <> '')`);
  } catch (cause) {
    throw new RlrfError(
      "RLRF_DATA_FILE",
      { message: (cause as Error).message.slice(0, 300), where: file.path, expected: `${file.encoding} text, a row a line` },
      { cause },
    );
  }
  const isBad = `"user" IS NULL OR item IS NULL OR rating IS NULL OR "time" IS NULL`;
  const { bad = 0, first = 0 } = await numbersOf(
    connection,
    `SELECT count(*) AS bad, min("row") AS first FROM interactions WHERE ${isBad}`,
  );
  if (bad > 0 && onBadRow === "fail") throw badRow(file, first, await faultAt(file, first), bad);
  if (bad > 0) await connection.run(`DELETE FROM interactions WHERE ${isBad}`);
  return bad;
}

/** One VARCHAR a line: no quoting, no separator, nothing dropped, so that the row number is the line's. */
function linesOfFile({ path, encoding }: DelimitedFile): string {
  return `read_csv(${quoted(path)}, columns = {'text': 'VARCHAR'}, auto_detect = false, header = false, delim = '', quote = '', escape = '',
    strict_mode = false, null_padding = true, encoding = ${quoted(encoding)})`;
}

async function faultAt(file: InteractionFile, line: number): Promise<string> {
  for await (const { number, text } of linesOf(file.path)) if (number === line) return faultOf(file, text.trimEnd());
  return "it cannot be read";
}

function faultOf({ separator, width, columns, ratings }: InteractionFile, text: string): string {
  const cells = text.split(separator);
  if (cells.length !== width) return cellsFault(text, cells.length, width);
  const [user, item, rating, time] = [columns.user, columns.item, columns.rating, columns.time].map((column) =>
    (cells[column] as string).trim(),
  );
  if (user === "" || item === "") return `no ${user === "" ? "user" : "item"} id`;
  if (!(rating !== "" && Number(rating) >= ratings[0] && Number(rating) <= ratings[1]))
    return `the rating is "${rating}", not a number from ${ratings.join(" to ")}`;
  return `the time is "${time}", not a number of seconds`;
}

const cellsFault = (text: string, cells: number, width: number) => `${cells} cells, not ${width}: "${text.slice(0, 80)}"`;

export interface DelimitedRow {
  readonly line: number;
  readonly cells: readonly string[];
}

/**
 * The rows of a file small enough for memory (items, users). `parse` throws an Error to call a row bad.
 * @returns what `parse` made of the good rows, and the number of bad ones @throws RLRF_DATA_FILE; RLRF_DATA_ROW unless they are to be skipped
 */
export async function readRows<Row>(
  file: DelimitedFile,
  onBadRow: OnBadRow,
  parse: (row: DelimitedRow) => Row,
): Promise<{ rows: Row[]; bad: number }> {
  const rows: Row[] = [];
  const faults: { line: number; message: string }[] = [];
  for (const [index, text] of (await readLines(file)).entries()) {
    if (index < file.skip || text.trim() === "") continue;
    const cells = text.split(file.separator);
    try {
      if (cells.length !== file.width) throw new Error(cellsFault(text, cells.length, file.width));
      rows.push(parse({ line: index + 1, cells }));
    } catch (fault) {
      faults.push({ line: index + 1, message: (fault as Error).message });
    }
  }
  const [first] = faults;
  if (first !== undefined && onBadRow === "fail") throw badRow(file, first.line, first.message, faults.length);
  return { rows, bad: faults.length };
}

/** @throws RLRF_DATA_FILE when the file is not there, or not in its encoding */
export async function readLines({ path, encoding }: Pick<DelimitedFile, "path" | "encoding">): Promise<string[]> {
  await assertFile(path);
  const bytes = await fs.readFile(path);
  try {
    // Node's "latin1" is byte = code point, as these files mean it; TextDecoder's would be windows-1252.
    const text = encoding === "latin-1" ? bytes.toString("latin1") : new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return text.split(/\r?\n/);
  } catch (cause) {
    throw new RlrfError("RLRF_DATA_FILE", { message: "the file is not UTF-8", where: path, expected: "UTF-8 text" }, { cause });
  }
}

async function assertFile(path: string): Promise<void> {
  const isFile = await fs.stat(path).then(
    (stat) => stat.isFile(),
    () => false,
  );
  if (!isFile)
    throw new RlrfError("RLRF_DATA_FILE", {
      message: "there is no such file",
      where: path,
      hint: "check the dataset's `path`, or leave it out to have the data fetched",
    });
}

function badRow({ path }: DelimitedFile, line: number, message: string, count: number): RlrfError {
  const others = count === 1 ? "" : ` (the first of ${count} bad rows)`;
  return new RlrfError("RLRF_DATA_ROW", {
    message: `${message}${others}`,
    where: `${path}:${line}`,
    hint: 'mend the file, or set the dataset\'s option onBadRow to "skip"',
  });
}
