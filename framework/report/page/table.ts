/** Tables; those that sort do so by their heads, which are buttons. */
import { type Child, freshId, h } from "./dom.js";

export interface Column<Row> {
  readonly head: string;
  readonly cell: (row: Row) => Child;
  /** Makes the column sortable. */
  readonly by?: (row: Row) => number | string;
  readonly number?: boolean;
}

export function table<Row>(rows: readonly Row[], columns: readonly Column<Row>[], label: string): HTMLElement {
  const body = h("tbody");
  const heads = columns.map(() => h("th", { scope: "col" }));
  const fill = (ordered: readonly Row[]) =>
    body.replaceChildren(
      ...ordered.map((row) =>
        h(
          "tr",
          {},
          ...columns.map(({ cell, number }, i) =>
            i === 0 ? h("th", { scope: "row" }, cell(row)) : h("td", number === true ? { class: "number" } : {}, cell(row)),
          ),
        ),
      ),
    );
  let sorted = -1;
  let up = true;
  const sort = (column: number, by: (row: Row) => number | string) => {
    up = sorted === column ? !up : columns[column]?.number !== true;
    sorted = column;
    for (const [i, head] of heads.entries())
      if (i === column) head.setAttribute("aria-sort", up ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    fill([...rows].sort((a, b) => compared(by(a), by(b), up ? 1 : -1)));
  };
  for (const [i, { head, by, number }] of columns.entries()) {
    const cell = heads[i] as HTMLElement;
    if (number === true) cell.className = "number";
    cell.append(by === undefined ? head : h("button", { type: "button", class: "sort", onclick: () => sort(i, by) }, head));
  }
  fill(rows);
  const element = h("table", { "aria-label": label }, h("thead", {}, h("tr", {}, ...heads)), body);
  // What is wider than its place scrolls, and can be reached by keyboard.
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label, id: freshId("table") }, element);
}

/** What is no number comes last either way. */
function compared(a: number | string, b: number | string, direction: 1 | -1): number {
  if (typeof a !== "number" || typeof b !== "number") return direction * String(a).localeCompare(String(b), "en", { numeric: true });
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return direction * (a - b);
}
