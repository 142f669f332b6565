/** Parallel coordinates: a line a trial across all axes. */
import { responsive } from "./figure.js";
import { blue, draw, muted, plot, rule, vermilion } from "./plot.js";
import type { SweepView } from "./data.js";
import type { Axis } from "./sweep-axes.js";

interface Point {
  readonly trial: string;
  readonly axis: string;
  readonly at: number;
  readonly color: string;
}

/** @param lit the trial that is set in bold */
export function parallel({ trials, best }: SweepView, axes: readonly Axis[], lit: string): HTMLElement {
  const chosen = new Set(best?.trials ?? []);
  const last = axes.at(-1);
  const points = trials.flatMap((trial) => {
    const color = chosen.has(trial.id) ? vermilion : shade(last?.place(trial) ?? null);
    return axes.flatMap(({ name, place }): Point[] => {
      const at = place(trial);
      return at === null ? [] : [{ trial: trial.id, axis: name, at, color }];
    });
  });
  const line = (of: readonly Point[], strokeWidth: number) =>
    plot.line(of, { x: "axis", y: "at", z: "trial", stroke: "color", strokeWidth });
  const ticks = axes.flatMap(({ name, ticks: own }) => own.map((tick) => ({ ...tick, axis: name })));
  const marks = [
    plot.ruleX(axes, { x: "name", stroke: rule, strokeWidth: 1.5 }),
    line(points, 1.5),
    line(
      points.filter(({ trial }) => chosen.has(trial)),
      2,
    ),
    line(
      points.filter(({ trial }) => trial === lit),
      4,
    ),
    plot.dot(points, { x: "axis", y: "at", r: 2.5, fill: "color" }),
    plot.text(ticks, {
      ...{ x: "axis", y: "at", text: "text", dx: 7, textAnchor: "start", fontSize: 11 },
      ...{ fill: "currentColor", stroke: "var(--paper)", strokeWidth: 4 },
    }),
  ];
  return responsive((width) => {
    const narrow = width < 520;
    const sizes = narrow ? { height: 300, marginRight: 62, marginTop: 60 } : { height: 340, marginRight: 90, marginTop: 34 };
    const names = { axis: "top", tickSize: 0, tickPadding: 10, tickRotate: narrow ? -30 : 0 } as const;
    return draw({
      ...{ width, ...sizes, marginLeft: 24, marginBottom: 12, marks },
      x: { type: "point", domain: axes.map(({ name }) => name), label: null, padding: 0.1, ...names },
      y: { domain: [0, 1], axis: null },
      color: { type: "identity" },
    });
  }, "Trials of the sweep as lines across the varied values and the figures");
}

/** From light to full blue, by place on the last axis. */
function shade(at: number | null): string {
  return at === null ? muted : `color-mix(in srgb, ${blue} ${Math.round(25 + 75 * at)}%, var(--rule))`;
}
