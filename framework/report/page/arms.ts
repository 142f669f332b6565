/** The arms: a forest plot of their values, one of what is between them and a rival, and the tables behind both. */
import type { ArmTest, ArmView, DifferenceView, Interval, RunView } from "./data.js";
import { h, replace, select } from "./dom.js";
import { figure, panel, panelHead, responsive, tableFigure } from "./figure.js";
import { count, counted, fixed, metricName, probability, signed, stars } from "./format.js";
import { armColor, draw, isControl, muted, plot, rule } from "./plot.js";
import { table } from "./table.js";

export interface ForestRow {
  readonly name: string;
  readonly interval: Interval;
  readonly text: string;
  /** Where there is no room for more. */
  readonly short: string;
  readonly color: string;
  readonly hollow: boolean;
}

/** One row a name: point, interval, and the numbers at the right. */
export function forest(rows: readonly ForestRow[], label: string, reference: number | null): HTMLElement {
  return responsive((width) => {
    const narrow = width < 440;
    const longest = Math.max(...rows.map(({ name }) => name.length));
    return draw({
      width,
      height: 26 * rows.length + 26,
      marginLeft: Math.min(150, 14 + 6.6 * longest),
      marginRight: narrow ? 62 : 8 + 6.3 * Math.max(...rows.map(({ text }) => text.length)),
      marginTop: 20,
      marginBottom: 6,
      x: { label: null, nice: true, ticks: narrow ? 3 : 5, axis: "top", tickSize: 0, insetLeft: 6, insetRight: 6 },
      y: { domain: rows.map(({ name }) => name), label: null, tickSize: 0, padding: 0.4 },
      marks: [
        plot.gridX({ stroke: rule, strokeOpacity: 1, ticks: narrow ? 3 : 5 }),
        ...(reference === null ? [] : [plot.ruleX([reference], { stroke: muted, strokeDasharray: "3 3" })]),
        plot.ruleY(rows, {
          y: "name",
          x1: (row: ForestRow) => row.interval.low,
          x2: (row: ForestRow) => row.interval.high,
          stroke: "color",
          strokeWidth: 2,
        }),
        plot.dot(rows, {
          y: "name",
          x: (row: ForestRow) => row.interval.mean,
          r: 4.5,
          fill: (row: ForestRow) => (row.hollow ? "var(--paper)" : row.color),
          stroke: "color",
          strokeWidth: 2,
        }),
        plot.text(rows, {
          y: "name",
          frameAnchor: "right",
          textAnchor: "start",
          dx: 10,
          text: (row: ForestRow) => (narrow ? row.short : row.text),
          fill: "currentColor",
          fontVariant: "tabular-nums",
        }),
      ],
      color: { type: "identity" },
    });
  }, label);
}

function intervalText({ mean, low, high }: Interval): string {
  return `${fixed(mean)} [${fixed(low, 3)}, ${fixed(high, 3)}]`;
}

export function armsSection(run: RunView): HTMLElement[] {
  const others = run.arms.filter(({ arm }) => arm !== "best-of-N");
  const rivals = others.map(({ arm }) => arm);
  let metric = run.metrics[0] ?? "";
  let against = ["metadata", "item-only", "id-only"].find((arm) => rivals.includes(arm)) ?? rivals[0] ?? "";
  const values = panel("", "");
  const differences = panel("", "");
  const show = () => {
    const rows = run.arms.flatMap(({ arm, values: byMetric }) => {
      const interval = byMetric[metric];
      return interval === undefined
        ? []
        : [
            {
              name: arm,
              interval,
              text: intervalText(interval),
              short: fixed(interval.mean),
              color: armColor(arm),
              hollow: isControl(arm),
            },
          ];
    });
    const name = metricName(metric);
    const reference = rows.find((row) => row.name === against)?.interval.mean ?? null;
    replace(values, panelHead("a", `${name} of each arm`), forest(rows, `${name} of each arm with 95% intervals`, reference));
    const apart = differencesTo(run, metric, against);
    replace(
      differences,
      panelHead("b", `Difference to ${against}`),
      forest(apart, `${name}: difference of each arm to ${against} with 95% intervals`, 0),
    );
  };
  const controls = h(
    "div",
    { class: "controls" },
    select(
      "Metric",
      run.metrics.map((value) => [value, metricName(value)]),
      metric,
      (value) => {
        metric = value;
        show();
      },
    ),
    select(
      "Against",
      rivals.map((value) => [value, value]),
      against,
      (value) => {
        against = value;
        show();
      },
    ),
  );
  show();
  const best = run.arms.some(({ arm }) => arm === "best-of-N") ? " best-of-N is of the align users and an upper reference only." : "";
  const seeds = run.facts.find(([name]) => name === "seeds")?.[1].split(",").length ?? 1;
  const caption =
    `Means over ${count(run.tested)} test users and ${seeds === 1 ? "one recommender seed" : `${seeds} recommender seeds`}, with 95% bootstrap intervals over users. ` +
    `In b stars mark p (Holm) of the paired randomisation test: * < 0.05, ** < 0.01, *** < 0.001; arms without a test have none. Hollow: controls and references that do not compete.${best}`;
  return [controls, figure("Arms.", caption, values, differences), armsTable(run), testsTable(run)];
}

function differencesTo(run: RunView, metric: string, against: string): ForestRow[] {
  return run.differences
    .filter((difference) => difference.metric === metric && (difference.arm === against || difference.against === against))
    .map((difference) => {
      const { arm, interval } = difference.against === against ? difference : turned(difference);
      const test = run.tests.find(
        (one) => one.metric === metric && ((one.arm === arm && one.against === against) || (one.arm === against && one.against === arm)),
      );
      const mark = test === undefined ? "" : ` ${stars(test.pHolm)}`;
      const text = `${signed(interval.mean)}${mark}`.trimEnd();
      return { name: arm, interval, text, short: text, color: armColor(arm), hollow: isControl(arm) };
    })
    .sort((a, b) => orderOf(run, a.name) - orderOf(run, b.name));
}

function turned({ arm, against, interval: { mean, low, high }, metric }: DifferenceView): DifferenceView {
  return { metric, arm: against, against: arm, interval: { mean: -mean, low: -high, high: -low } };
}

function orderOf(run: RunView, arm: string): number {
  return run.arms.findIndex((one) => one.arm === arm);
}

function armsTable(run: RunView): HTMLElement {
  const cells = run.metrics.map((metric) => ({
    head: metricName(metric),
    number: true,
    by: ({ values }: ArmView) => values[metric]?.mean ?? Number.NaN,
    cell: ({ values }: ArmView) => fixed(values[metric]?.mean),
  }));
  const [main = ""] = run.metrics;
  const valid = {
    head: `${metricName(main)}, valid users`,
    number: true,
    by: (arm: ArmView) => arm.valid[main]?.mean ?? Number.NaN,
    cell: (arm: ArmView) => fixed(arm.valid[main]?.mean),
  };
  const columns = [
    { head: "arm", cell: ({ arm }: ArmView) => arm },
    ...cells,
    ...(run.arms.some((arm) => main in arm.valid) ? [valid] : []),
  ];
  return tableFigure(
    "Every metric of every arm.",
    "On test users; at the right on valid users, by whom runs may be chosen. Heads sort.",
    table(run.arms, columns, "Every metric of every arm"),
  );
}

function testsTable(run: RunView): HTMLElement {
  const rows = run.tests.filter(({ metric }) => metric !== "reward");
  const columns = [
    { head: "arm", cell: ({ arm }: ArmTest) => arm, by: ({ arm }: ArmTest) => arm },
    { head: "against", cell: ({ against }: ArmTest) => against, by: ({ against }: ArmTest) => against },
    { head: "metric", cell: ({ metric }: ArmTest) => metricName(metric), by: ({ metric }: ArmTest) => metric },
    {
      head: "difference",
      number: true,
      cell: ({ difference }: ArmTest) => signed(difference),
      by: ({ difference }: ArmTest) => difference,
    },
    { head: "p", number: true, cell: ({ p }: ArmTest) => probability(p), by: ({ p }: ArmTest) => p },
    { head: "p (Holm)", number: true, cell: ({ pHolm }: ArmTest) => probability(pHolm), by: ({ pHolm }: ArmTest) => pHolm },
  ];
  return tableFigure(
    "Paired randomisation tests by user.",
    `${counted(rows.length, "comparison")}; p (Holm) is corrected over all of one metric.`,
    table(rows, columns, "Paired tests between arms"),
    false,
  );
}
