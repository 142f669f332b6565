/** A line of a delimited file in cells, in JavaScript and in SQL alike. */
import { quoted } from "./database.js";

/**
 * "none": a quote is a character like others. "double": a cell may stand in double quotes, which it then holds as "" (RFC 4180).
 * "backslash": as "double", and \" is a quote too, \\ a backslash (MySQL's dumps).
 */
export type Quotes = "none" | "double" | "backslash";

export interface Delimiting {
  readonly separator: string;
  readonly quotes?: Quotes;
}

/** A separator and a cell, quoted or plain: what the line is made of, once a separator stands before it. */
function cellPattern({ separator, quotes }: Delimiting): string {
  const cut = separator.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const inside = quotes === "backslash" ? '(?:[^"\\\\]|\\\\.|"")*' : '(?:[^"]|"")*';
  // The plain cell ends at the separator, which is one character in all formats that quote.
  return `${cut}(?:"${inside}"|[^"${cut}]*)`;
}

/** @returns null when the quotes do not match; "open" when the last one is not closed, as where a cell holds a line end */
export function splitCells(text: string, form: Delimiting): readonly string[] | null | "open" {
  if ((form.quotes ?? "none") === "none" || !text.includes('"')) return text.split(form.separator);
  const whole = form.separator + text;
  const cells = whole.match(new RegExp(cellPattern(form), "gsuy")) ?? []; // sticky: without gaps
  const matched = cells.reduce((sum, cell) => sum + cell.length, 0);
  if (matched === whole.length) return cells.map((cell) => plainCell(cell.slice(form.separator.length), form));
  // Where a cell begins with a quote that nothing closes, an empty cell was the last to match.
  return whole[matched] === '"' && cells.at(-1) === form.separator ? "open" : null;
}

function plainCell(cell: string, { quotes }: Delimiting): string {
  if (!cell.startsWith('"')) return cell;
  const inside = cell.slice(1, -1).replaceAll('""', '"');
  return quotes === "backslash" ? inside.replace(/\\(.)/gsu, "$1") : inside;
}

/** SQL of the list of a text's cells; NULL when its quotes do not match. @param text an SQL expression */
export function cellsSql(text: string, form: Delimiting): string {
  const plain = `string_split(${text}, ${quoted(form.separator)})`;
  if ((form.quotes ?? "none") === "none") return plain;
  const whole = `${quoted(form.separator)} || ${text}`;
  const matches = `regexp_extract_all(${whole}, ${quoted(cellPattern(form))}, 0, 's')`;
  const cell = `x[${form.separator.length + 1}:]`;
  const inside = `replace(${cell}[2:-2], '""', '"')`;
  const unescaped = form.quotes === "backslash" ? `regexp_replace(${inside}, '\\\\(.)', '\\1', 'gs')` : inside;
  return `CASE WHEN NOT contains(${text}, '"') THEN ${plain}
    WHEN array_to_string(${matches}, '') = ${whole} THEN list_transform(${matches}, lambda x: CASE WHEN starts_with(${cell}, '"') THEN ${unescaped} ELSE ${cell} END) END`;
}
