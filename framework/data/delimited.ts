/** Rows of delimited text files of datasets, each known by its line. Exported to dataset plugins. */
import { RlrfError } from "../errors.js";
import { type Delimiting, splitCells } from "./cells.js";
import { type TextFile, type TextLine, textLines } from "./text-lines.js";

export type OnBadRow = "fail" | "skip";

export interface DelimitedFile extends TextFile, Delimiting {
  /** Cells of a row. */
  readonly width: number;
  /** Lines before the first row. */
  readonly skip: number;
}

export interface DelimitedRow {
  readonly line: number;
  readonly cells: readonly string[];
}

/** The good rows of a file, and the number of bad ones. */
export interface GoodRows<Row> {
  readonly rows: Row[];
  readonly bad: number;
}

/** Lines that one quoted cell may hold: a quote that is never closed must not swallow the file. */
const linesOfCell = 100;

/**
 * The rows of a file small enough for memory (items, users). `parse` throws an Error to call a row bad; null leaves a row out.
 * @param file without a width rows of any are parsed
 * @throws RLRF_DATA_FILE; RLRF_DATA_ROW unless bad rows are to be skipped
 */
export async function readRows<Row>(
  file: Omit<DelimitedFile, "width"> & Partial<Pick<DelimitedFile, "width">>,
  onBadRow: OnBadRow,
  parse: (row: DelimitedRow) => Row | null,
): Promise<GoodRows<Row>> {
  const rows: Row[] = [];
  const faults = new RowFaults(file.path, onBadRow);
  const take = ({ number, text }: TextLine, cells: readonly string[] | null) => {
    const row = faults.attempt(number, () => {
      if (cells === null) throw new Error(`its quotes do not match: "${text.slice(0, 80)}"`);
      if (file.width !== undefined && cells.length !== file.width) throw new Error(cellsFault(text, cells.length, file.width));
      return parse({ line: number, cells });
    });
    if (row !== null) rows.push(row);
  };
  const waiting: TextLine[] = [];
  for await (const line of textLines(file)) {
    if (waiting.length === 0 && (line.number <= file.skip || line.text.trim() === "")) continue;
    waiting.push(line);
    takeRows(waiting, file, false, take);
  }
  takeRows(waiting, file, true, take);
  return { rows, bad: faults.count() };
}

/** Takes whole rows from the front of `lines`: of one line, or of as many as its quoted cells go over. */
function takeRows(
  lines: TextLine[],
  form: Delimiting,
  atEnd: boolean,
  take: (first: TextLine, cells: readonly string[] | null) => void,
): void {
  while (lines[0] !== undefined) {
    const [first] = lines;
    let text = first.text;
    let cells = splitCells(text, form);
    let used = 1;
    for (; cells === "open" && used < lines.length; used++) {
      text += `\n${lines[used]?.text}`;
      cells = splitCells(text, form);
    }
    if (cells === "open" && !atEnd && used < linesOfCell) return;
    take(first, cells === "open" ? null : cells);
    lines.splice(0, cells === "open" ? 1 : used); // a quote that nothing closes makes its own line bad, and no other
  }
}

/** Counts the bad rows of a file, and remembers the first. */
export class RowFaults {
  private bad = 0;
  private first: { readonly line: number; readonly message: string } | undefined;

  constructor(
    private readonly path: string,
    private readonly onBadRow: OnBadRow,
  ) {}

  /** @param parse throws an Error to call the row bad; null leaves it out @returns null for both */
  attempt<Row>(line: number, parse: () => Row | null): Row | null {
    try {
      return parse();
    } catch (fault) {
      this.bad++;
      this.first ??= { line, message: (fault as Error).message };
      return null;
    }
  }

  /** @returns the number of bad rows @throws RLRF_DATA_ROW unless they are to be skipped */
  count(): number {
    if (this.first !== undefined && this.onBadRow === "fail") throw badRow(this.path, this.first.line, this.first.message, this.bad);
    return this.bad;
  }
}

export const cellsFault = (text: string, cells: number, width: number) => `${cells} cells, not ${width}: "${text.slice(0, 80)}"`;

/** @param advice what helps before anything else does */
export function badRow(path: string, line: number, message: string, count: number, advice?: string): RlrfError {
  const others = count === 1 ? "" : ` (the first of ${count} bad rows)`;
  return new RlrfError("RLRF_DATA_ROW", {
    message: `${message}${others}`,
    where: `${path}:${line}`,
    hint: `${advice === undefined ? "" : `${advice}; else `}mend the file, or set the dataset's option onBadRow to "skip"`,
  });
}

/** Calls a row bad whose id stood in an earlier one, or is empty. */
export function uniqueIds<Source extends { readonly line: number }, Row extends { readonly id: string }>(
  parse: (row: Source) => Row | null,
): (row: Source) => Row | null {
  const lines = new Map<string, number>();
  return (row) => {
    const record = parse(row);
    if (record === null) return null;
    if (record.id === "") throw new Error("no id");
    if (lines.has(record.id)) throw new Error(`the id ${record.id} is that of line ${lines.get(record.id)}`);
    lines.set(record.id, row.line);
    return record;
  };
}
