/** Forest plots: a row a name, with its point, its interval, and the numbers at the right. */
import { axisNames } from "./axis-names.js";
import type { Interval } from "./data.js";
import { responsive } from "./figure.js";
import { fixed } from "./format.js";
import { draw, muted, plot, rule } from "./plot.js";

export interface ForestRow {
  readonly name: string;
  readonly interval: Interval;
  readonly text: string;
  /** Where there is no room for more. */
  readonly short: string;
  readonly color: string;
  readonly hollow: boolean;
}

const low = ({ interval }: { readonly interval: Interval }) => interval.low;
const high = ({ interval }: { readonly interval: Interval }) => interval.high;
const middle = ({ interval }: { readonly interval: Interval }) => interval.mean;
/** Numbers stand at the right of the frame. */
const beside = { frameAnchor: "right", textAnchor: "start", dx: 10, fill: "currentColor" } as const;

export function intervalText({ mean, low: from, high: to }: Interval): string {
  return `${fixed(mean)} [${fixed(from, 3)}, ${fixed(to, 3)}]`;
}

/** @param reference a value that the rows are read against */
export function forest(rows: readonly ForestRow[], label: string, reference: number | null): HTMLElement {
  return responsive((width) => {
    const narrow = width < 440;
    const ticks = narrow ? 3 : 5;
    const domain = rows.map(({ name }) => name);
    const names = axisNames(domain, width);
    const fill = (row: ForestRow) => (row.hollow ? "var(--paper)" : row.color);
    return draw({
      width,
      height: 26 * rows.length + 26,
      marginLeft: names.margin,
      marginRight: narrow ? 62 : 8 + 6.3 * Math.max(...rows.map(({ text }) => text.length)),
      marginTop: 20,
      marginBottom: 6,
      x: { label: null, nice: true, ticks, axis: "top", tickSize: 0, insetLeft: 6, insetRight: 6 },
      y: { domain, label: null, tickSize: 0, padding: 0.4, tickFormat: names.text },
      color: { type: "identity" },
      marks: [
        plot.gridX({ stroke: rule, strokeOpacity: 1, ticks }),
        ...(reference === null ? [] : [plot.ruleX([reference], { stroke: muted, strokeDasharray: "3 3" })]),
        plot.ruleY(rows, { y: "name", x1: low, x2: high, stroke: "color", strokeWidth: 2 }),
        plot.dot(rows, { y: "name", x: middle, r: 4.5, fill, stroke: "color", strokeWidth: 2 }),
        plot.text(rows, { ...beside, y: "name", text: (row: ForestRow) => (narrow ? row.short : row.text) }),
      ],
    });
  }, label);
}

export interface GroupedRow {
  readonly arm: string;
  readonly run: string;
  readonly interval: Interval;
  readonly color: string;
}

/** A band an arm, a row in it a run. */
export function groupedForest(rows: readonly GroupedRow[], label: string): HTMLElement {
  const arms = [...new Set(rows.map(({ arm }) => arm))];
  const runs = [...new Set(rows.map(({ run }) => run))];
  return responsive((width) => {
    const narrow = width < 520;
    const ticks = narrow ? 3 : 6;
    const names = axisNames(arms, width);
    const text = ({ run, interval }: GroupedRow) => (narrow ? `${run} ${fixed(interval.mean)}` : `${run}  ${intervalText(interval)}`);
    return draw({
      width,
      height: arms.length * (runs.length * 19 + 12) + 30,
      marginLeft: names.margin,
      marginRight: narrow ? 62 : 172,
      marginTop: 24,
      marginBottom: 4,
      fy: { domain: arms, label: null, axis: "left", padding: 0.16, tickFormat: names.text },
      y: { domain: runs, axis: null, padding: 0.6 },
      x: { label: null, axis: "top", tickSize: 0, nice: true, ticks, insetLeft: 8, insetRight: 8 },
      color: { type: "identity" },
      marks: [
        plot.gridX({ stroke: rule, strokeOpacity: 1, ticks }),
        plot.ruleY(rows, { fy: "arm", y: "run", x1: low, x2: high, stroke: "color", strokeWidth: 2 }),
        plot.dot(rows, { fy: "arm", y: "run", x: middle, r: 4, fill: "color" }),
        plot.text(rows, { ...beside, fy: "arm", y: "run", text }),
      ],
    });
  }, label);
}
