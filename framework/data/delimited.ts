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
 * @throws RLRF_DATA_FILE; RLRF_DATA_ROW unless bad rows are to be skipped
 */
export async function readRows<Row>(
  file: DelimitedFile,
  onBadRow: OnBadRow,
  parse: (row: DelimitedRow) => Row | null,
): Promise<GoodRows<Row>> {
  const good = new RowCollector<Row>(file.path, onBadRow);
  let open: TextLine[] = [];
  const close = (lines: readonly TextLine[], last: boolean): TextLine[] => {
    const [first] = lines;
    if (first === undefined) return [];
    const text = lines.map((line) => line.text).join("\n");
    const cells = splitCells(text, file);
    if (cells === "open" && !last && lines.length < linesOfCell) return [...lines];
    good.take(first.number, () => {
      if (cells === null || cells === "open") throw new Error(`its quotes do not match: "${first.text.slice(0, 80)}"`);
      if (cells.length !== file.width) throw new Error(cellsFault(text, cells.length, file.width));
      return parse({ line: first.number, cells });
    });
    // A quote that nothing closes makes its own line bad, and no other.
    return cells === "open" ? lines.slice(1).reduce<TextLine[]>((rest, line) => close([...rest, line], false), []) : [];
  };
  for await (const line of textLines(file))
    if (open.length > 0 || (line.number > file.skip && line.text.trim() !== "")) open = close([...open, line], false);
  while (open.length > 0) open = close(open, true);
  return good.result();
}

/** Collects what `parse` makes of rows, and their faults. */
export class RowCollector<Row> {
  private readonly rows: Row[] = [];
  private bad = 0;
  private first: { readonly line: number; readonly message: string } | undefined;

  constructor(
    private readonly path: string,
    private readonly onBadRow: OnBadRow,
  ) {}

  /** @param parse throws an Error to call the row bad; null leaves it out */
  take(line: number, parse: () => Row | null): void {
    try {
      const row = parse();
      if (row !== null) this.rows.push(row);
    } catch (fault) {
      this.bad++;
      this.first ??= { line, message: (fault as Error).message };
    }
  }

  /** @throws RLRF_DATA_ROW unless bad rows are to be skipped */
  result(): GoodRows<Row> {
    if (this.first !== undefined && this.onBadRow === "fail") throw badRow(this.path, this.first.line, this.first.message, this.bad);
    return { rows: this.rows, bad: this.bad };
  }
}

export const cellsFault = (text: string, cells: number, width: number) => `${cells} cells, not ${width}: "${text.slice(0, 80)}"`;

export function badRow(path: string, line: number, message: string, count: number): RlrfError {
  const others = count === 1 ? "" : ` (the first of ${count} bad rows)`;
  return new RlrfError("RLRF_DATA_ROW", {
    message: `${message}${others}`,
    where: `${path}:${line}`,
    hint: 'mend the file, or set the dataset\'s option onBadRow to "skip"',
  });
}

/** Calls a row bad whose id stood in an earlier one, or is empty. */
export function uniqueIds<Row extends { readonly id: string }>(
  parse: (row: DelimitedRow) => Row | null,
): (row: DelimitedRow) => Row | null {
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
