/** Several runs side by side: arms on the users whom all of them tested, paired tests between the runs, and where their specs differ. */
import type { ComparisonView, ReportData, RunTest } from "./data.js";
import { h, replace, select } from "./dom.js";
import { figure, panel, tableFigure } from "./figure.js";
import { type GroupedRow, groupedForest } from "./forest.js";
import { count, counted, metricName, probability, signed } from "./format.js";
import { series } from "./plot.js";
import { table } from "./table.js";

/** A run's letter in figures: A, B, … */
export function letterOf(run: number): string {
  return run < 26 ? String.fromCharCode(65 + run) : `R${run + 1}`;
}
export function colorOf(run: number): string {
  return series[(run + 1) % series.length] as string;
}

export function comparisonSection({ runs, comparison, notCompared }: ReportData): HTMLElement[] {
  const keys = h(
    "ul",
    { class: "keys" },
    ...runs.map(({ name }, i) => h("li", {}, h("i", { style: `--key:${colorOf(i)}` }), `${letterOf(i)}  ${name}`)),
  );
  if (comparison === null)
    return [keys, h("p", {}, `The runs cannot be tested against each other: ${notCompared ?? "one of them has no scores"}.`)];
  const order = [...new Set(runs.flatMap(({ arms }) => arms.map(({ arm }) => arm)))];
  return [keys, ...armsOf(comparison, order), testsOf(comparison), ...differencesOf(comparison)];
}

/** @param order of the arms */
function armsOf(comparison: ComparisonView, order: readonly string[]): HTMLElement[] {
  let metric = comparison.metrics[0] ?? "";
  const place = panel("", "");
  const show = () => {
    const rows = order.flatMap((arm) =>
      (comparison.arms[metric]?.[arm] ?? []).flatMap((interval, run): GroupedRow[] =>
        interval === null ? [] : [{ arm, run: letterOf(run), interval, color: colorOf(run) }],
      ),
    );
    replace(place, groupedForest(rows, `${metricName(metric)} of each arm in each run with 95% intervals`));
  };
  show();
  const choose = (value: string) => {
    metric = value;
    show();
  };
  const options = comparison.metrics.map((value) => [value, metricName(value)] as const);
  const caption = `Means over the ${count(comparison.users)} users whom all runs tested, on the same lists, with 95% bootstrap intervals over users.`;
  return [h("div", { class: "controls" }, select("Metric", options, metric, choose)), figure("Arms, run by run.", caption, place)];
}

function testsOf({ tests }: ComparisonView): HTMLElement {
  const columns = [
    { head: "arm", cell: ({ arm }: RunTest) => arm, by: ({ arm }: RunTest) => arm },
    { head: "run", cell: ({ run }: RunTest) => letterOf(run), by: ({ run }: RunTest) => run },
    { head: "against", cell: ({ against }: RunTest) => letterOf(against), by: ({ against }: RunTest) => against },
    { head: "metric", cell: ({ metric }: RunTest) => metricName(metric), by: ({ metric }: RunTest) => metric },
    {
      head: "difference",
      number: true,
      cell: ({ difference }: RunTest) => signed(difference),
      by: ({ difference }: RunTest) => difference,
    },
    { head: "p", number: true, cell: ({ p }: RunTest) => probability(p), by: ({ p }: RunTest) => p },
    { head: "p (Holm)", number: true, cell: ({ pHolm }: RunTest) => probability(pHolm), by: ({ pHolm }: RunTest) => pHolm },
  ];
  const caption = "Each arm of a run against the same arm of the runs before it; p (Holm) is corrected over all tests of one metric.";
  return tableFigure(
    "Paired randomisation tests between runs.",
    caption,
    table(tests, columns, "Paired tests between runs"),
    tests.length <= 40,
  );
}

function differencesOf({ differences }: ComparisonView): HTMLElement[] {
  if (differences.length === 0) return [h("p", { class: "note" }, "The specs of the runs do not differ.")];
  type Difference = (typeof differences)[number];
  const runs = differences[0]?.values.length ?? 0;
  const columns = [
    {
      head: "value",
      cell: ({ pointer }: Difference) => h("code", {}, pointer.slice(1).replaceAll("/", ".")),
      by: ({ pointer }: Difference) => pointer,
    },
    ...Array.from({ length: runs }, (_, run) => ({
      head: letterOf(run),
      cell: ({ values }: Difference) =>
        h("code", {}, values[run] === undefined || values[run] === null ? "\u2013" : JSON.stringify(values[run])),
    })),
  ];
  return [
    tableFigure(
      "Where the specs differ.",
      `${counted(differences.length, "value")}.`,
      table(differences, columns, "Differences between the specs"),
    ),
  ];
}
