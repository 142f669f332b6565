/** The hearing test: the recommender's ranking with right texts, with swapped ones, and what is between them. */
import type { HearingView, RunView } from "./data.js";
import { axisNames } from "./axis-names.js";
import { figure, panel, responsive } from "./figure.js";
import { forest } from "./forest.js";
import { count, fixed, metricName, signed } from "./format.js";
import { blue, draw, muted, plot, rule, vermilion } from "./plot.js";

export function hearingSection(run: RunView): HTMLElement[] {
  // Iterations whose reward models heard the same texts say the same.
  const tests = run.hearing.filter((one, i) => run.hearing.findIndex((other) => JSON.stringify(other) === JSON.stringify(one)) === i);
  if (tests.length === 0) return [];
  const named = tests.map((test, i) => ({
    ...test,
    name: tests.filter(({ texts }) => texts === test.texts).length > 1 ? `${test.texts} (${i + 1})` : test.texts,
  }));
  const metric = metricName(run.metrics[0] ?? "");
  const rows = named.map(({ name, difference, deaf }) => ({
    name,
    interval: difference,
    text: `${signed(difference.mean)} [${signed(difference.low, 3)}, ${signed(difference.high, 3)}]`,
    short: signed(difference.mean),
    color: deaf ? vermilion : blue,
    hollow: deaf,
  }));
  const users = [...new Set(tests.map((test) => count(test.users)))].join(", ");
  const caption = `${metric} of ${users} users whom the recommenders have not learnt from, with their own texts (filled) and with those of others (hollow). An interval of the difference that includes zero means that the recommender is deaf to what the texts say.`;
  return [
    figure(
      "Does the recommender hear the text?",
      caption,
      panel("a", "Right and swapped texts", dumbbell(named, metric)),
      panel("b", "Right minus swapped", forest(rows, "Hearing test: right minus swapped with 95% intervals", 0)),
    ),
  ];
}

type Named = HearingView & { readonly name: string };

function dumbbell(tests: readonly Named[], metric: string): HTMLElement {
  return responsive((width) => {
    const domain = tests.map(({ name }) => name);
    const names = axisNames(domain, width);
    const text = (test: Named) => `${fixed(test.right, 3)} / ${fixed(test.swapped, 3)}`;
    return draw({
      width,
      height: 26 * tests.length + 26,
      marginLeft: names.margin,
      marginRight: 100,
      marginTop: 20,
      marginBottom: 6,
      x: { label: null, axis: "top", tickSize: 0, ticks: 3, nice: true, insetLeft: 8, insetRight: 8 },
      y: { domain, label: null, tickSize: 0, tickFormat: names.text },
      marks: [
        plot.gridX({ stroke: rule, strokeOpacity: 1, ticks: 3 }),
        plot.ruleY(tests, { y: "name", x1: "swapped", x2: "right", stroke: muted, strokeWidth: 1.5 }),
        plot.dot(tests, { y: "name", x: "swapped", r: 4.5, stroke: vermilion, fill: "var(--paper)", strokeWidth: 2 }),
        plot.dot(tests, { y: "name", x: "right", r: 4.5, fill: blue }),
        plot.text(tests, { y: "name", frameAnchor: "right", textAnchor: "start", dx: 10, fill: "currentColor", text }),
      ],
    });
  }, `${metric} with right and with swapped texts`);
}
