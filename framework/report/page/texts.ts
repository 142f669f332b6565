/** How the texts keep the asked structure, and what became of the pairs. */
import { axisNames } from "./axis-names.js";
import type { RunView } from "./data.js";
import { h } from "./dom.js";
import { figure, panel, responsive, tableFigure } from "./figure.js";
import { count, percent } from "./format.js";
import { blue, draw, muted, plot, rule, vermilion } from "./plot.js";
import { table } from "./table.js";

export function structureSection({ structure: { aspects, policies } }: RunView): HTMLElement[] {
  if (policies.length === 0 || aspects.length === 0) return [];
  const bar = (share: number) =>
    h("span", { class: "cell" }, h("i", { style: `--share:${share}` }), h("span", {}, percent(share, share > 0.995 && share < 1 ? 1 : 0)));
  type Row = (typeof policies)[number];
  const columns = [
    { head: "policy", cell: ({ policy }: Row) => policy },
    ...aspects.map((aspect, i) => ({
      head: aspect,
      cell: ({ rates }: Row) => bar(rates[i] ?? Number.NaN),
      by: ({ rates }: Row) => rates[i] ?? 0,
    })),
    { head: "whole text conforms", cell: ({ conforming }: Row) => bar(conforming), by: ({ conforming }: Row) => conforming },
    { head: "texts", number: true, cell: ({ texts }: Row) => count(texts) },
  ];
  const caption =
    "Share of greedy texts that answer the aspect exactly once, with something in it; a text conforms when all aspects are answered so and nothing else stands in it.";
  return [tableFigure("Structure by aspect and policy.", caption, table(policies, columns, "Structure rate by aspect and policy"))];
}

export function pairsSection({ iterations }: RunView): HTMLElement[] {
  const told = iterations.filter(({ pairs }) => Object.keys(pairs).length > 0);
  if (told.length === 0) return [];
  const names = [...new Set(told.flatMap(({ pairs }) => Object.keys(pairs)))];
  const kinds = names.map((name) => ({ name, kind: kindOf(name) })).sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
  const panels = told.map(({ iteration, pairs }) => {
    const rows = kinds.map(({ name, kind }) => ({
      name,
      count: pairs[name] ?? 0,
      color: colors[kind],
    }));
    return panel("", `Iteration ${iteration}`, bars(rows, `Pairs of iteration ${iteration}`));
  });
  return [
    figure(
      "Pairs kept and dropped.",
      "Blue: examples that were learnt from. Vermilion: users or pairs that were dropped, with the reason. Grey: users sampled.",
      ...panels,
    ),
  ];
}

const order = ["users", "kept", "dropped"] as const;
const colors = { users: muted, kept: blue, dropped: vermilion } as const;
function kindOf(name: string): (typeof order)[number] {
  if (name === "users") return "users";
  return name.startsWith("dropped") || name.includes("over the share") ? "dropped" : "kept";
}

export function secondsSection({ seconds }: RunView): HTMLElement[] {
  const rows = Object.entries(seconds).map(([name, value]) => ({ name, count: value, color: blue }));
  if (rows.length === 0) return [];
  const total = rows.reduce((sum, row) => sum + row.count, 0);
  const caption = `${total < 90 ? `${total.toFixed(1)} s` : `${(total / 60).toFixed(1)} min`} in all, of the process that ended the run: steps found in the store take no time.`;
  return [
    figure(
      "Seconds by step.",
      caption,
      panel(
        "",
        "",
        bars(rows, "Seconds by step", (value) => `${value.toFixed(1)} s, ${percent(value / total)}`),
      ),
    ),
  ];
}

interface Bar {
  readonly name: string;
  readonly count: number;
  readonly color: string;
}

function bars(rows: readonly Bar[], label: string, text: (value: number) => string = count): HTMLElement {
  return responsive((width) => {
    const domain = rows.map(({ name }) => name);
    const names = axisNames(domain, width, 0.6);
    return draw({
      width,
      height: 24 * rows.length + 12,
      marginLeft: names.margin,
      marginRight: 84,
      marginTop: 4,
      marginBottom: 4,
      x: { axis: null },
      y: { domain, label: null, tickSize: 0, padding: 0.35, tickFormat: names.text },
      color: { type: "identity" },
      marks: [
        plot.ruleX([0], { stroke: rule }),
        plot.barX(rows, { x: "count", y: "name", fill: "color", fillOpacity: 0.85 }),
        plot.text(rows, { x: "count", y: "name", text: (row: Bar) => text(row.count), textAnchor: "start", dx: 6, fill: "currentColor" }),
      ],
    });
  }, label);
}
