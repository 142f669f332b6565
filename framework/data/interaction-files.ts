/** Files of interactions of any size, loaded by DuckDB without passing through JavaScript; every bad row is known by its line. */
import type { DuckDBConnection } from "@duckdb/node-api";
import { RlrfError } from "../errors.js";
import { cellsSql, splitCells } from "./cells.js";
import { numbersOf, quoted } from "./database.js";
import { badRow, cellsFault, type DelimitedFile, type OnBadRow } from "./delimited.js";
import { assertFile, type Encoding } from "./text-lines.js";

/** Where an interaction stands in a row. Without a rating all have the highest; without a time the order of the rows is that of time. */
export interface InteractionColumns<Column> {
  readonly user: Column;
  readonly item: Column;
  readonly rating?: Column | undefined;
  readonly time?: Column | undefined;
}

/** A file as rows of text, by SQL. */
export interface InteractionRows {
  readonly path: string;
  /** What the file has to be, for errors. */
  readonly form: string;
  /** Gives line BIGINT, text VARCHAR, fits BOOLEAN (the row has its form), and VARCHARs "user", item, rating, "time". */
  readonly sql: string;
  /** Which of the values the rows have. */
  readonly columns: InteractionColumns<unknown>;
  /** What is wrong with a text that does not fit. */
  readonly fault: (text: string) => string;
}

export interface InteractionMeaning {
  /** Lowest and highest rating that is possible. */
  readonly ratings: readonly [number, number];
  /** Of the time; default "seconds" since 1970. "date": ISO 8601, UTC where it names no zone. */
  readonly timeUnit?: "seconds" | "milliseconds" | "date";
  /** What to do about values that do not fit, where the dataset has options for that. */
  readonly advice?: Readonly<Partial<Record<ValueKind, string>>>;
}
type ValueKind = "id" | "rating" | "time";

const valueNames = ["user", "item", "rating", "time"] as const;

/** @param columns cells, counted from 0 */
export function delimitedRows(file: DelimitedFile, columns: InteractionColumns<number>): InteractionRows {
  const values = valuesSql(columns, (column) => `trim(cells[${column + 1}])`);
  return {
    path: file.path,
    columns,
    form: `${file.encoding} text, a row a line`,
    sql: `SELECT line, text, cells IS NOT NULL AS fits, ${values}
      FROM (SELECT line, text, CASE WHEN len(found) = ${file.width} THEN found END AS cells
            FROM (SELECT line, text, ${cellsSql("text", file)} AS found FROM ${lines(file, file.skip)}))`,
    fault: (text) => {
      const cells = splitCells(text, file);
      return typeof cells === "object" && cells !== null
        ? cellsFault(text, cells.length, file.width)
        : `its quotes do not match: "${text.slice(0, 80)}"`;
    },
  };
}

/** JSON objects, one a line. @param columns their keys */
export function jsonLineRows(path: string, columns: InteractionColumns<string>): InteractionRows {
  return {
    path,
    ...jsonRows(`(SELECT line, text FROM ${lines({ path, encoding: "utf-8" }, 0)})`, columns),
    form: "UTF-8 text, a JSON object a line",
  };
}

/** One JSON array of objects; rows are its entries. @param columns their keys */
export function jsonArrayRows(path: string, columns: InteractionColumns<string>): InteractionRows {
  const entries = `(SELECT row_number() OVER () AS line, json::VARCHAR AS text FROM read_json_objects(${quoted(path)}, format = 'array'))`;
  return { path, ...jsonRows(entries, columns), form: "a JSON array of objects" };
}

function jsonRows(texts: string, columns: InteractionColumns<string>): Pick<InteractionRows, "sql" | "columns" | "fault"> {
  const keys = valueNames.flatMap((name) => columns[name] ?? []);
  const paths = `[${keys.map((key) => quoted(`$."${key.replaceAll('"', '\\"')}"`)).join(", ")}]`;
  const values = valuesSql(columns, (key) => `found[${keys.indexOf(key) + 1}]`);
  return {
    columns,
    sql: `SELECT line, text, found IS NOT NULL AS fits, ${values}
      FROM (SELECT line, text, CASE WHEN json_valid(text) THEN CASE WHEN json_type(text) = 'OBJECT' THEN json_extract_string(text, ${paths}) END END AS found
            FROM ${texts})`,
    fault: (text) => `it is no JSON object: ${text.slice(0, 80)}`,
  };
}

/** A Parquet file. @param columns its columns' names @throws RLRF_DATA_FILE, RLRF_DATA_COLUMNS */
export async function parquetRows(
  connection: DuckDBConnection,
  path: string,
  columns: InteractionColumns<string>,
): Promise<InteractionRows> {
  const names = await parquetColumns(connection, path);
  const missing = valueNames.flatMap((name) => columns[name] ?? []).filter((column) => !names.includes(column));
  if (missing.length > 0) throw missingColumns(path, missing, names);
  return {
    path,
    columns,
    form: "a Parquet file",
    sql: `SELECT file_row_number + 1 AS line, '' AS text, true AS fits, ${valuesSql(columns, (column) => `${identifier(column)}::VARCHAR`)}
      FROM read_parquet(${quoted(path)}, file_row_number = true)`,
    fault: () => "it cannot be read",
  };
}

/** @throws RLRF_DATA_FILE */
export async function parquetColumns(connection: DuckDBConnection, path: string): Promise<string[]> {
  await assertFile(path);
  try {
    const described = await connection.run(`DESCRIBE SELECT * FROM read_parquet(${quoted(path)})`);
    return (await described.getRowObjects()).map((row) => String(row.column_name));
  } catch (cause) {
    throw unreadable(path, "a Parquet file", cause);
  }
}

export function missingColumns(where: string, missing: readonly string[], there: readonly string[]): RlrfError {
  return new RlrfError("RLRF_DATA_COLUMNS", {
    message: `the file lacks ${missing.join(", ")}`,
    where,
    expected: missing.join(", "),
    hint: `its columns are: ${there.slice(0, 40).join(", ") || "none"}`,
  });
}

/** A name in SQL quotes. */
export const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;

function valuesSql<Column>(columns: InteractionColumns<Column>, value: (column: Column) => string): string {
  return valueNames
    .map((name) => {
      const column = columns[name];
      return `${column === undefined ? "NULL" : value(column)}::VARCHAR AS "${name}"`;
    })
    .join(", ");
}

/** One VARCHAR a line: no quoting, no separator, nothing dropped, so that the row number is the line's. Blank lines are passed over. */
function lines({ path, encoding }: { readonly path: string; readonly encoding: Encoding }, skip: number): string {
  const reader = `read_csv(${quoted(path)}, columns = {'text': 'VARCHAR'}, auto_detect = false, header = false, delim = '', quote = '', escape = '',
    strict_mode = false, null_padding = true, encoding = ${quoted(encoding)})`;
  return `(SELECT * FROM (SELECT row_number() OVER () AS line, text FROM ${reader}) WHERE line > ${skip} AND trim(coalesce(text, '')) <> '')`;
}

/**
 * Fills `interactions`; `row` is the line.
 * @returns the number of bad rows, all skipped @throws RLRF_DATA_FILE; RLRF_DATA_ROW unless they are to be skipped
 */
export async function loadInteractions(
  connection: DuckDBConnection,
  rows: InteractionRows,
  meaning: InteractionMeaning,
  onBadRow: OnBadRow,
): Promise<number> {
  await assertFile(rows.path);
  // A value that does not fit becomes NULL, so that one pass over the file both loads and finds it.
  await reading(rows, () =>
    connection.run(`INSERT INTO interactions
      SELECT nullif("user", ''), nullif(item, ''), ${ratingSql(rows, meaning)}, ${timeSql(rows, meaning)}, line FROM (${rows.sql})`),
  );
  const isBad = `"user" IS NULL OR item IS NULL OR rating IS NULL OR "time" IS NULL`;
  const { bad = 0, first = 0 } = await numbersOf(
    connection,
    `SELECT count(*) AS bad, min("row") AS first FROM interactions WHERE ${isBad}`,
  );
  if (bad > 0 && onBadRow === "fail") {
    const { message, of } = await faultAt(connection, rows, meaning, first);
    throw badRow(rows.path, first, message, bad, of && meaning.advice?.[of]);
  }
  if (bad > 0) await connection.run(`DELETE FROM interactions WHERE ${isBad}`);
  return bad;
}

function ratingSql({ columns }: InteractionRows, { ratings: [low, high] }: InteractionMeaning): string {
  if (columns.rating === undefined) return `CASE WHEN fits THEN ${high} END`;
  const rating = "try_cast(rating AS DOUBLE)";
  return `CASE WHEN ${rating} BETWEEN ${low} AND ${high} THEN ${rating} END`; // NaN is above every number
}

function timeSql({ columns }: InteractionRows, { timeUnit = "seconds" }: InteractionMeaning): string {
  if (columns.time === undefined) return "CASE WHEN fits THEN 0 END";
  if (timeUnit === "date") return `epoch(try_cast("time" AS TIMESTAMPTZ))::BIGINT`;
  return `try_cast(try_cast("time" AS DOUBLE)${timeUnit === "milliseconds" ? " / 1000" : ""} AS BIGINT)`;
}

async function reading<Result>(rows: InteractionRows, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    throw unreadable(rows.path, rows.form, cause);
  }
}

function unreadable(path: string, form: string, cause: unknown): RlrfError {
  return new RlrfError("RLRF_DATA_FILE", { message: (cause as Error).message.slice(0, 300), where: path, expected: form }, { cause });
}

/** @returns `of`: the value that is at fault; absent where the row itself is */
async function faultAt(
  connection: DuckDBConnection,
  rows: InteractionRows,
  meaning: InteractionMeaning,
  line: number,
): Promise<{ readonly message: string; readonly of?: ValueKind }> {
  const [row] = await reading(rows, async () => (await connection.run(`SELECT * FROM (${rows.sql}) WHERE line = ${line}`)).getRowObjects());
  const value = (name: string) => ((row?.[name] as string | null | undefined) ?? "").slice(0, 80);
  if (row === undefined || row.fits !== true) return { message: rows.fault(String(row?.text ?? "")) };
  if (value("user") === "" || value("item") === "") return { message: `no ${value("user") === "" ? "user" : "item"} id`, of: "id" };
  const [low, high] = meaning.ratings;
  const rating = value("rating");
  if (rows.columns.rating !== undefined && !(rating.trim() !== "" && Number(rating) >= low && Number(rating) <= high))
    return { message: `the rating is "${rating}", not a number from ${low} to ${high}`, of: "rating" };
  const unit = meaning.timeUnit === "date" ? "a date" : `a number of ${meaning.timeUnit ?? "seconds"}`;
  return { message: `the time is "${value("time")}", not ${unit}`, of: "time" };
}
