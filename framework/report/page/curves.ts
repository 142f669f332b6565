/** Learning curves: a row of small multiples a tuning, each step thin, their running mean thick. */
import type { CurveView, RunView } from "./data.js";
import { h } from "./dom.js";
import { figure, responsive } from "./figure.js";
import { figureName, fixed } from "./format.js";
import { blue, draw, muted, plot, rule, vermilion } from "./plot.js";

type Points = readonly (readonly [number, number])[];

/** Figures that share a panel, in the order of the panels; what is not named here follows. */
const panels: readonly (readonly string[])[] = [
  ["loss"],
  ["margin"],
  ["accuracy"],
  ["chosenReward", "rejectedReward"],
  ["kl"],
  ["gradNorm"],
  ["learningRate"],
];
const left = new Set(["tokensPerSecond"]);

export function curvesSection({ curves, iterations }: RunView): HTMLElement[] {
  return curves.map((curve) => {
    const known = new Set(panels.flat());
    const others = Object.keys(curve.figures).filter((name) => !known.has(name) && !left.has(name));
    const shown = [...panels, ...others.map((name) => [name])]
      .map((names) => names.filter((name) => curve.figures[name] !== undefined))
      .filter((names) => names.length > 0);
    const kl = iterations.find(({ iteration }) => curve.name === `iteration-${iteration}`)?.kl;
    const told =
      kl === undefined || kl === null
        ? ""
        : ` KL to its start, on held-out users' samples after the last step: ${fixed(kl, 3)} nats a text.`;
    const caption = `By optimiser step: every step thin, the mean of a running window thick.${told}`;
    const multiples = h("div", { class: "parts small" }, ...shown.map((names) => small(curve, names)));
    return wide(figure(`Learning curves, ${curve.name.replace("-", " ")}.`, caption, multiples));
  });
}

function wide(element: HTMLElement): HTMLElement {
  element.firstElementChild?.classList.add("whole");
  return element;
}

function small(curve: CurveView, names: readonly string[]): HTMLElement {
  const colors = names.length > 1 ? [blue, vermilion] : [blue];
  const title = names.length > 1 ? "implicit rewards" : figureName(names[0] as string);
  const lines = names.map((name, i) => ({ name, color: colors[i] ?? muted, points: curve.figures[name] as Points }));
  const drawn = responsive((width) => {
    const raw = lines.flatMap(({ name, color, points }) => points.map(([step, value]) => ({ step, value, name, color })));
    const smooth = lines.flatMap(({ name, color, points }) => smoothed(points).map(([step, value]) => ({ step, value, name, color })));
    const last = lines.flatMap(({ name, color, points }) => {
      const end = smoothed(points).at(-1);
      return end === undefined ? [] : [{ step: end[0], value: end[1], color, name: name.replace("Reward", "") }];
    });
    return draw({
      width,
      height: 130,
      marginLeft: 44,
      marginRight: names.length > 1 ? 54 : 10,
      marginTop: 8,
      marginBottom: 24,
      x: { label: null, ticks: 3, tickSize: 0, tickFormat: "~s" },
      y: { label: null, ticks: 3, tickSize: 0, nice: true, tickFormat: tick },
      color: { type: "identity" },
      marks: [
        plot.gridY({ stroke: rule, strokeOpacity: 1, ticks: 3 }),
        plot.ruleY(references(names), { stroke: muted, strokeDasharray: "3 3" }),
        plot.lineY(raw, { x: "step", y: "value", z: "name", stroke: "color", strokeWidth: 0.75, strokeOpacity: 0.4 }),
        plot.lineY(smooth, { x: "step", y: "value", z: "name", stroke: "color", strokeWidth: 1.75 }),
        ...(names.length > 1 ? labels(last) : []),
      ],
    });
  }, `${title} by step, ${curve.name}`);
  return h("div", { class: "panel" }, h("h4", {}, title), drawn);
}

interface Label {
  readonly step: number;
  readonly value: number;
  readonly name: string;
  readonly color: string;
}

/** Each at the end of its line; the higher one above, the lower one below, so that they never cover each other. */
function labels(ends: readonly Label[]) {
  const ordered = [...ends].sort((a, b) => b.value - a.value);
  return ordered.map((end, i) =>
    plot.text([end], {
      x: "step",
      y: "value",
      text: "name",
      fill: "color",
      dx: 5,
      textAnchor: "start",
      lineAnchor: i === 0 ? "bottom" : "top",
    }),
  );
}

function tick(value: number): string {
  if (value === 0) return "0";
  return Math.abs(value) < 0.005
    ? value.toExponential(1).replace(".0e", "e").replace("-", "\u2212")
    : String(Number(value.toPrecision(3))).replace("-", "\u2212");
}

/** What a figure is read against: chance, or no change. */
function references(names: readonly string[]): readonly number[] {
  return names[0] === "accuracy" ? [0.5] : names[0] === "margin" || names[0] === "chosenReward" ? [0] : [];
}

/** The mean of a window of a fifteenth of the steps around each. */
function smoothed(points: Points): Points {
  const half = Math.floor(points.length / 30);
  return points.map(([step], i) => {
    const window = points.slice(Math.max(0, i - half), i + half + 1);
    return [step, window.reduce((sum, [, value]) => sum + value, 0) / window.length] as const;
  });
}
