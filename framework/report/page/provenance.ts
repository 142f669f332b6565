/** Where the run came from: warnings, names and versions, counts of the data, and the spec with the origin of every value. */
import type { RunView } from "./data.js";
import { h } from "./dom.js";
import { tableFigure } from "./figure.js";
import { count, counted } from "./format.js";
import { table } from "./table.js";

export function provenanceSection(run: RunView): HTMLElement[] {
  return [...warnings(run), facts(run), counts(run), spec(run)];
}

function warnings({ warnings: told }: RunView): HTMLElement[] {
  if (told.length === 0) return [h("p", { class: "note" }, "The run gave no warnings.")];
  const items = told.map((warning) => {
    const [, code, rest = warning] = /^(RLRF_[A-Z_]+): (.*)$/s.exec(warning) ?? [];
    return h("li", {}, code === undefined ? null : h("code", {}, code), code === undefined ? rest : ` ${rest}`);
  });
  return [h("h3", {}, "Warnings"), h("ul", { class: "warnings" }, ...items)];
}

function facts({ facts: rows }: RunView): HTMLElement {
  return h("dl", { class: "facts" }, ...rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function counts({ counts: told }: RunView): HTMLElement {
  const rows = Object.entries(told);
  type Row = (typeof rows)[number];
  const columns = [
    { head: "what", cell: ([name]: Row) => name, by: ([name]: Row) => name },
    { head: "count", number: true, cell: ([, value]: Row) => count(value), by: ([, value]: Row) => value },
  ];
  return tableFigure("Counts of the data.", `${counted(rows.length, "figure")}.`, table(rows, columns, "Counts of the data"), false);
}

function spec({ spec: rows }: RunView): HTMLElement {
  type Row = (typeof rows)[number];
  const columns = [
    { head: "value", cell: ([pointer]: Row) => h("code", {}, pointer.slice(1).replaceAll("/", ".")), by: ([pointer]: Row) => pointer },
    { head: "is", cell: ([, value]: Row) => h("code", {}, value) },
    { head: "from", cell: ([, , origin]: Row) => origin, by: ([, , origin]: Row) => origin },
  ];
  return tableFigure(
    "The resolved spec.",
    `${counted(rows.length, "value")}, each with the place that it came from.`,
    table(rows, columns, "The resolved spec"),
    false,
  );
}
