/** The arms: a forest plot of their values, one of what is between them and a rival, and the tables behind both. */
import type { ArmTest, ArmView, DifferenceView, RunView } from "./data.js";
import { h, replace, select } from "./dom.js";
import { figure, panel, panelHead, tableFigure } from "./figure.js";
import { count, counted, fixed, metricName, probability, signed, stars } from "./format.js";
import { forest, type ForestRow, intervalText } from "./forest.js";
import { armColor, isControl } from "./plot.js";
import { table } from "./table.js";

export function armsSection(run: RunView): HTMLElement[] {
  const rivals = run.arms.map(({ arm }) => arm).filter((arm) => arm !== "best-of-N");
  const chosen = {
    metric: run.metrics[0] ?? "",
    against: ["metadata", "item-only", "id-only"].find((arm) => rivals.includes(arm)) ?? rivals[0] ?? "",
  };
  const values = panel("", "");
  const differences = panel("", "");
  const show = () => {
    const { metric, against } = chosen;
    const name = metricName(metric);
    const rows = valuesOf(run, metric);
    const reference = rows.find((row) => row.name === against)?.interval.mean ?? null;
    replace(values, panelHead("a", `${name} of each arm`), forest(rows, `${name} of each arm with 95% intervals`, reference));
    const apart = forest(differencesTo(run, metric, against), `${name}: difference of each arm to ${against} with 95% intervals`, 0);
    replace(differences, panelHead("b", `Difference to ${against}`), apart);
  };
  const choose = (label: string, key: keyof typeof chosen, options: readonly (readonly [string, string])[]) =>
    select(label, options, chosen[key], (value) => {
      chosen[key] = value;
      show();
    });
  show();
  const metrics = run.metrics.map((metric) => [metric, metricName(metric)] as const);
  const arms = rivals.map((arm) => [arm, arm] as const);
  return [
    h("div", { class: "controls" }, choose("Metric", "metric", metrics), choose("Against", "against", arms)),
    figure("Arms.", captionOf(run), values, differences),
    armsTable(run),
    testsTable(run),
  ];
}

function captionOf(run: RunView): string {
  const best = run.arms.some(({ arm }) => arm === "best-of-N") ? " best-of-N is of the align users and an upper reference only." : "";
  const seeds = run.facts.find(([name]) => name === "seeds")?.[1].split(",").length ?? 1;
  return (
    `Means over ${count(run.tested)} test users and ${seeds === 1 ? "one recommender seed" : `${seeds} recommender seeds`}, with 95% bootstrap intervals over users. ` +
    `In b stars mark p (Holm) of the paired randomisation test: * < 0.05, ** < 0.01, *** < 0.001; arms without a test have none. Hollow: controls and references that do not compete.${best}`
  );
}

function valuesOf(run: RunView, metric: string): ForestRow[] {
  return run.arms.flatMap(({ arm, values }) => {
    const interval = values[metric];
    if (interval === undefined) return [];
    return [
      { name: arm, interval, text: intervalText(interval), short: fixed(interval.mean), color: armColor(arm), hollow: isControl(arm) },
    ];
  });
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
      by: ({ difference }: ArmTest) => difference ?? Number.NaN,
    },
    { head: "p", number: true, cell: ({ p }: ArmTest) => probability(p), by: ({ p }: ArmTest) => p },
    { head: "p (Holm)", number: true, cell: ({ pHolm }: ArmTest) => probability(pHolm), by: ({ pHolm }: ArmTest) => pHolm },
  ];
  if (rows.length === 0) return h("p", { class: "note" }, "No tests were made between arms.");
  return tableFigure(
    "Paired randomisation tests by user.",
    `${counted(rows.length, "comparison")}; p (Holm) is corrected over all of one metric.`,
    table(rows, columns, "Paired tests between arms"),
    false,
  );
}
