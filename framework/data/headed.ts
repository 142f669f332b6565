/** Delimited files whose first line names their columns. */
import { RlrfError } from "../errors.js";
import { splitCells } from "./cells.js";
import type { DelimitedFile, DelimitedRow } from "./delimited.js";
import { firstLine } from "./text-lines.js";

export interface HeadedFile {
  readonly file: DelimitedFile;
  /** As the header has them, RecBole's types (`user_id:token`) left out. */
  readonly names: readonly string[];
  /** RecBole's type of each column; "" where the header tells none. */
  readonly types: readonly string[];
  /** Where a column stands, from 0; -1 where the file lacks it. */
  readonly column: (name: string) => number;
  readonly cell: (row: DelimitedRow, name: string) => string;
}

/** @param wanted columns that have to be there @throws RLRF_DATA_FILE, RLRF_DATA_COLUMNS */
export async function headedFile(form: Omit<DelimitedFile, "width" | "skip">, wanted: readonly string[]): Promise<HeadedFile> {
  const cells = splitCells(await firstLine(form), form);
  const named = (Array.isArray(cells) ? (cells as readonly string[]) : []).map((cell) =>
    /^(.*?)(?::(token|token_seq|float|float_seq))?$/.exec(cell.trim()),
  );
  const names = named.map((match) => match?.[1] ?? "");
  const missing = wanted.filter((name) => !names.includes(name));
  if (missing.length > 0)
    throw new RlrfError("RLRF_DATA_COLUMNS", {
      message: `the header lacks ${missing.join(", ")}`,
      where: `${form.path}:1`,
      expected: wanted.join(", "),
      hint: `its columns are: ${names.join(", ").slice(0, 300) || "none"}${splitOtherwise(names, form.separator)}`,
    });
  const column = (name: string) => names.indexOf(name);
  return {
    file: { ...form, width: names.length, skip: 1 },
    names,
    types: named.map((match) => match?.[2] ?? ""),
    column,
    cell: ({ cells: row }, name) => row[column(name)] ?? "",
  };
}

/** A header in one piece, where another separator would split it. */
function splitOtherwise(names: readonly string[], separator: string): string {
  const other = [";", "\t", ",", "|"].find((one) => one !== separator && names[0]?.includes(one));
  return names.length > 1 || other === undefined
    ? ""
    : ` (in one piece: ${JSON.stringify(other)} seems to separate them, not ${JSON.stringify(separator)})`;
}
