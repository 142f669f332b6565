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
  textLines,
} from "rlrf4rec";

export type Form = "csv" | "tsv" | "json" | "parquet" | "recbole";

export interface TableFile {
  readonly path: string;
  readonly form: Form;
  readonly encoding: Encoding;
  readonly separator: string | undefined;
}
/** A record with its columns' values: texts, numbers, lists. */
export interface TableRecord {
  readonly line: number;
  readonly values: Readonly<Record<string, unknown>>;
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
    expected: `a name that ends in .${Object.keys(endings).join(", .")} (also with .gz)`,
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
 * @param wanted columns that have to be there; @param parse throws an Error to call a record bad
 * @throws RLRF_DATA_FILE, RLRF_DATA_COLUMNS, and RLRF_DATA_ROW unless bad records are to be skipped
 */
export async function recordsOf<Row>(
  connection: DuckDBConnection,
  file: TableFile,
  wanted: readonly string[],
  onBadRow: OnBadRow,
  parse: (record: TableRecord) => Row | null,
): Promise<GoodRows<Row>> {
  if (file.form !== "json" && file.form !== "parquet") {
    const { file: delimited, names, types } = await headedFile(delimiting(file), wanted);
    return readRows(delimited, onBadRow, ({ line, cells }) =>
      parse({ line, values: Object.fromEntries(names.map((name, i) => [name, typed(cells[i] ?? "", types[i] ?? "")])) }),
    );
  }
  const rows: Row[] = [];
  const faults = new RowFaults(file.path, onBadRow);
  for await (const { line, json } of objectsOf(connection, file, wanted)) {
    const row = faults.attempt(line, () => parse({ line, values: objectOf(json) }));
    if (row !== null) rows.push(row);
  }
  return { rows, bad: faults.count() };
}

/** A cell as what it looks like; RecBole says what it is. Ids such as 007 stay texts. */
function typed(cell: string, type: string): unknown {
  const text = cell.trim();
  if (type.endsWith("_seq")) return text.split(" ").filter((part) => part !== "");
  if (type === "float" || (type === "" && /^-?(?:0|[1-9]\d{0,14})(?:\.\d+)?$/.test(text))) return Number(text);
  return text;
}

async function* objectsOf(
  connection: DuckDBConnection,
  { path, form }: TableFile,
  wanted: readonly string[],
): AsyncGenerator<{ readonly line: number; readonly json: string }> {
  await assertFile(path);
  const file = `'${path.replaceAll("'", "''")}'`;
  if (form === "parquet") {
    const names = await parquetColumns(connection, path);
    const missing = wanted.filter((name) => !names.includes(name));
    if (missing.length > 0) throw missingColumns(path, missing, names);
  } else if (!(await isArray(path))) {
    for await (const { number, text } of textLines({ path, encoding: "utf-8" })) if (text.trim() !== "") yield { line: number, json: text };
    return;
  }
  const sql =
    form === "parquet"
      ? `SELECT to_json(t)::VARCHAR FROM read_parquet(${file}) t`
      : `SELECT json::VARCHAR FROM read_json_objects(${file}, format = 'array')`;
  const texts = await connection.runAndReadAll(sql).catch((cause: Error) => {
    throw new RlrfError(
      "RLRF_DATA_FILE",
      { message: cause.message.slice(0, 300), where: path, expected: "a JSON array of objects" },
      { cause },
    );
  });
  let line = 0;
  for (const json of texts.getColumns()[0] as string[]) yield { line: ++line, json };
}

function objectOf(json: string): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(json);
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error(`it is no JSON object: ${json.slice(0, 80)}`);
  return value as Readonly<Record<string, unknown>>;
}
