/** A table's file in any of its forms, as interactions and as records. */
import {
  assertFile,
  type DelimitedFile,
  type DuckDBConnection,
  delimitedRows,
  type Encoding,
  firstLine,
  type GoodRows,
  headedFile,
  identifier,
  type InteractionColumns,
  type InteractionRows,
  jsonArrayRows,
  jsonLineRows,
  missingColumns,
  type OnBadRow,
  parquetColumns,
  parquetRows,
  RlrfError,
  RowFaults,
  readRows,
} from "rlrf4rec";

export type Form = "csv" | "tsv" | "json" | "parquet" | "recbole";

export interface TableFile {
  readonly path: string;
  readonly form: Form;
  readonly encoding: Encoding;
  readonly separator: string | undefined;
}
export interface TableRecord {
  readonly line: number;
  /** Of its columns: texts, numbers, lists. */
  readonly values: Readonly<Record<string, unknown>>;
  /** As interactions have it, to the letter: 12.0 and 007 stay what they are. */
  readonly id: string;
  /** "" where no column was asked for. */
  readonly title: string;
}
export interface RecordColumns {
  readonly id: string;
  readonly title?: string;
  readonly others: readonly string[];
}

const endings: Readonly<Record<string, Form>> = {
  csv: "csv",
  tsv: "tsv",
  json: "json",
  jsonl: "json",
  ndjson: "json",
  parquet: "parquet",
  inter: "recbole",
  item: "recbole",
  user: "recbole",
};

/** @throws RLRF_DATA_FILE when the name does not tell */
export function formOf(path: string): Form {
  const ending = /\.([a-z]+)(?:\.gz)?$/i.exec(path)?.[1]?.toLowerCase() ?? "";
  const form = endings[ending];
  if (form !== undefined) return form;
  throw new RlrfError("RLRF_DATA_FILE", {
    message: "the file's name does not tell its format",
    where: path,
    expected: `a name that ends in .${Object.keys(endings).join(", .")} (all but .parquet also with .gz)`,
    hint: "or set the dataset's option `format`",
  });
}

function delimiting({ path, form, encoding, separator }: TableFile): Omit<DelimitedFile, "width" | "skip"> {
  if (form === "recbole") return { path, encoding, separator: "\t" };
  return { path, encoding, separator: separator ?? (form === "tsv" ? "\t" : ","), quotes: "double" };
}

export async function interactionsOf(
  connection: DuckDBConnection,
  file: TableFile,
  columns: InteractionColumns<string>,
): Promise<InteractionRows> {
  if (file.form === "parquet") return parquetRows(connection, file.path, columns);
  if (file.form === "json") return (await isArray(file.path)) ? jsonArrayRows(file.path, columns) : jsonLineRows(file.path, columns);
  const wanted = [columns.user, columns.item, columns.rating, columns.time].filter((name) => name !== undefined);
  const { file: delimited, column } = await headedFile(delimiting(file), wanted);
  const at = (name: string | undefined) => (name === undefined ? undefined : column(name));
  return delimitedRows(delimited, {
    user: column(columns.user),
    item: column(columns.item),
    rating: at(columns.rating),
    time: at(columns.time),
  });
}

const isArray = async (path: string): Promise<boolean> => (await firstLine({ path, encoding: "utf-8" })).trimStart().startsWith("[");

/**
 * @param parse throws an Error to call a record bad
 * @throws RLRF_DATA_FILE, RLRF_DATA_COLUMNS, and RLRF_DATA_ROW unless bad records are to be skipped
 */
export async function recordsOf<Row>(
  connection: DuckDBConnection,
  file: TableFile,
  columns: RecordColumns,
  onBadRow: OnBadRow,
  parse: (record: TableRecord) => Row | null,
): Promise<GoodRows<Row>> {
  if (file.form !== "json" && file.form !== "parquet") return delimitedRecords(file, columns, onBadRow, parse);
  const rows: Row[] = [];
  const faults = new RowFaults(file.path, onBadRow);
  for await (const { line, json, id, title } of objectsOf(connection, file, columns)) {
    const row = faults.attempt(line, () => {
      const values = objectOf(json);
      return parse({ line, values, id, title: titleOf(columns.title, values, title) });
    });
    if (row !== null) rows.push(row);
  }
  return { rows, bad: faults.count() };
}

async function delimitedRecords<Row>(
  file: TableFile,
  { id, title, others }: RecordColumns,
  onBadRow: OnBadRow,
  parse: (record: TableRecord) => Row | null,
): Promise<GoodRows<Row>> {
  const {
    file: delimited,
    names,
    types,
    cell,
  } = await headedFile(delimiting(file), [id, ...(title === undefined ? [] : [title]), ...others]);
  return readRows(delimited, onBadRow, (row) => {
    const values = Object.fromEntries(names.map((name, i) => [name, typed(row.cells[i] ?? "", types[i] ?? "")]));
    const titleText = title === undefined ? "" : cell(row, title);
    return parse({ line: row.line, values, id: trimmed(cell(row, id)), title: titleOf(title, values, titleText) });
  });
}

/** As SQL's trim, by which interactions have their ids: tabs stay. */
const trimmed = (cell: string): string => cell.replace(/^\p{Zs}+|\p{Zs}+$/gu, "");

/** A sequence of words where it is one, as RecBole's may be. */
function titleOf(column: string | undefined, values: TableRecord["values"], text: string): string {
  const value = column === undefined ? undefined : values[column];
  return (Array.isArray(value) ? value.join(" ") : text).trim();
}

/** A cell as what it looks like; RecBole says what it is. Ids such as 007 stay texts. */
function typed(cell: string, type: string): unknown {
  const text = cell.trim();
  if (type.endsWith("_seq")) return text.split(" ").filter((part) => part !== "");
  if (type === "float" || (type === "" && /^-?(?:0|[1-9]\d{0,14})(?:\.\d+)?$/.test(text))) return Number(text);
  return text;
}

interface RecordObject {
  readonly line: number;
  readonly json: string;
  readonly id: string;
  readonly title: string;
}

/** Id and title come by the SQL that reads those of interactions: in JavaScript 7.0 would be 7, and 9007199254740993 another id. */
async function* objectsOf(connection: DuckDBConnection, file: TableFile, columns: RecordColumns): AsyncGenerator<RecordObject> {
  await assertFile(file.path);
  const sql = file.form === "parquet" ? await parquetSql(connection, file.path, columns) : await jsonSql(connection, file, columns);
  try {
    const result = await connection.stream(sql);
    for await (const rows of result.yieldRows())
      for (const [line, json, id, title] of rows as [bigint, string, string | null, string | null][])
        yield { line: Number(line), json, id: id ?? "", title: title ?? "" };
  } catch (cause) {
    const message = (cause as Error).message.slice(0, 300);
    throw new RlrfError("RLRF_DATA_FILE", { message, where: file.path, expected: "JSON objects, or a Parquet file" }, { cause });
  }
}

async function jsonSql(connection: DuckDBConnection, file: TableFile, { id, title }: RecordColumns): Promise<string> {
  const { sql } = await interactionsOf(connection, file, { user: id, item: title ?? id });
  return `SELECT line, text, "user", item FROM (${sql})`;
}

/** @throws RLRF_DATA_COLUMNS */
async function parquetSql(connection: DuckDBConnection, path: string, { id, title = id, others }: RecordColumns): Promise<string> {
  const names = await parquetColumns(connection, path);
  const missing = [...new Set([id, title, ...others])].filter((name) => !names.includes(name));
  if (missing.length > 0) throw missingColumns(path, missing, names);
  const [idText, titleText] = [id, title].map((name) => `t.${identifier(name)}::VARCHAR`);
  return `SELECT row_number() OVER () AS line, to_json(t)::VARCHAR, ${idText}, ${titleText} FROM read_parquet('${path.replaceAll("'", "''")}') t`;
}

function objectOf(json: string): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(json);
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error(`it is no JSON object: ${json.slice(0, 80)}`);
  return value as Readonly<Record<string, unknown>>;
}
