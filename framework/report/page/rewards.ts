/** The rewards of the N samples before and after each iteration, and what became of the policies. */
import type { RewardView, RunView } from "./data.js";
import { h } from "./dom.js";
import { figure, panel, responsive, tableFigure } from "./figure.js";
import { count, fixed, percent, probability, signed } from "./format.js";
import { blue, draw, muted, plot, rule, vermilion } from "./plot.js";
import { table } from "./table.js";

export function rewardsSection(run: RunView): HTMLElement[] {
  const { rewards, iterations } = run;
  if (rewards.length === 0 && iterations.length === 0) return [];
  const numbers = [...new Set(rewards.map(({ iteration }) => iteration))];
  const panels = numbers.flatMap((iteration) => {
    const sets = rewards.filter((set) => set.iteration === iteration);
    const heldOut = sets.filter(({ users }) => users === "held-out");
    const letter = (offset: number) => "abcdefghijklmnopqrstuvwxyz"[2 * numbers.indexOf(iteration) + offset] ?? "";
    return [
      panel(letter(0), `Iteration ${iteration}: rewards of all samples`, densities(heldOut.length > 0 ? heldOut : sets)),
      panel(letter(1), `Iteration ${iteration}: mean of the k-th best of N`, orders(sets)),
    ];
  });
  const found = rewards[0];
  const caption =
    "Left: samples of held-out align users, drawn with the same random numbers before and after; the vertical lines are means over users. " +
    "Right: every user's samples ordered by reward, averaged place by place: what lies between the first and the last place is what pairs are made of. " +
    "Tuned users are sampled before the iteration only.";
  return [
    ...(found === undefined ? [] : [keys(), figure("Rewards before and after each iteration.", caption, ...panels)]),
    ...(iterations.length === 0 ? [] : [iterationsTable(run)]),
    ...(Object.keys(run.llm).length === 0 ? [] : [policiesTable(run)]),
  ];
}

function colorOf({ users, when }: RewardView): string {
  return users === "tuned" ? vermilion : when === "before" ? muted : blue;
}

function keys(): HTMLElement {
  const entries = [
    ["held-out users, before", "var(--muted)"],
    ["held-out users, after", "var(--blue)"],
    ["tuned users, before", "var(--vermilion)"],
  ] as const;
  return h("ul", { class: "keys" }, ...entries.map(([text, color]) => h("li", {}, h("i", { style: `--key:${color}` }), text)));
}

function densities(sets: readonly RewardView[]): HTMLElement {
  return responsive((width) => {
    const rows = sets.flatMap(({ bins, range: [low, high], ...set }) =>
      bins.map((share, bin) => ({
        x: low + ((bin + 0.5) / bins.length) * (high - low),
        share,
        set: `${set.users} ${set.when}`,
        color: colorOf({ ...set, bins, range: [low, high] }),
      })),
    );
    const means = sets.map((set) => ({ x: set.mean, color: colorOf(set) }));
    const label = { frameAnchor: "top", dy: -14, fill: "color", fontWeight: 600 } as const;
    const lower = (sets[0]?.mean ?? 0) <= (sets[1]?.mean ?? 0) ? 0 : 1;
    const side = (set: number) => (set === lower ? "end" : "start");
    return draw({
      width,
      height: 190,
      marginLeft: 34,
      marginRight: 8,
      marginTop: 26,
      marginBottom: 26,
      x: { label: null, tickSize: 0, ticks: 6 },
      y: { label: null, tickFormat: "%", ticks: 3, tickSize: 0 },
      color: { type: "identity" },
      marks: [
        plot.gridY({ stroke: rule, strokeOpacity: 1, ticks: 3 }),
        plot.areaY(rows, { x: "x", y1: 0, y2: "share", z: "set", fill: "color", fillOpacity: 0.12, curve: "step" }),
        plot.lineY(rows, { x: "x", y: "share", z: "set", stroke: "color", strokeWidth: 1.75, curve: "step" }),
        plot.ruleX(means, { x: "x", stroke: "color", strokeWidth: 1.5, strokeDasharray: "2 2" }),
        // Means nearly touch: their labels go to either side.
        plot.text(means.slice(0, 1), {
          ...label,
          x: "x",
          textAnchor: side(0),
          dx: side(0) === "end" ? -3 : 3,
          text: () => fixed(sets[0]?.mean, 3),
        }),
        plot.text(means.slice(1, 2), {
          ...label,
          x: "x",
          textAnchor: side(1),
          dx: side(1) === "end" ? -3 : 3,
          text: () => fixed(sets[1]?.mean, 3),
        }),
      ],
    });
  }, "Shares of samples by reward, before and after");
}

function orders(sets: readonly RewardView[]): HTMLElement {
  return responsive((width) => {
    const rows = sets.flatMap((set) =>
      set.ordered.map((value, k) => ({ k: k + 1, value, set: `${set.users} ${set.when}`, color: colorOf(set) })),
    );
    const most = Math.max(...rows.map(({ k }) => k));
    return draw({
      width,
      height: 190,
      marginLeft: 40,
      marginRight: 16,
      marginTop: 10,
      marginBottom: 30,
      x: {
        label: "k",
        labelAnchor: "center",
        labelArrow: "none",
        ticks: most <= 12 ? Array.from({ length: most }, (_, k) => k + 1) : 6,
        tickFormat: "d",
        tickSize: 0,
      },
      y: { label: null, ticks: 4, tickSize: 0, nice: true },
      color: { type: "identity" },
      marks: [
        plot.gridY({ stroke: rule, strokeOpacity: 1, ticks: 4 }),
        plot.lineY(rows, { x: "k", y: "value", z: "set", stroke: "color", strokeWidth: 1.75 }),
        plot.dot(rows, { x: "k", y: "value", fill: "color", r: 2.5 }),
      ],
    });
  }, "Mean reward of the k-th best sample, before and after");
}

function iterationsTable({ iterations }: RunView): HTMLElement {
  type Row = RunView["iterations"][number];
  const columns = [
    { head: "iteration", cell: ({ iteration }: Row) => String(iteration) },
    { head: "verdict", cell: ({ accepted }: Row) => (accepted ? "accepted" : "not accepted") },
    {
      head: "gain in sampled reward",
      number: true,
      cell: ({ gain }: Row) => `${signed(gain.mean)} [${signed(gain.low)}, ${signed(gain.high)}]`,
    },
    { head: "conforming", number: true, cell: ({ conforming }: Row) => percent(conforming, 1) },
    { head: "implicit accuracy", number: true, cell: ({ accuracy }: Row) => fixed(accuracy, 3) },
    { head: "implicit margin", number: true, cell: ({ margin }: Row) => fixed(margin, 3) },
    { head: "KL, nats a text", number: true, cell: ({ kl }: Row) => fixed(kl, 3) },
  ];
  return tableFigure(
    "Iterations.",
    "Gain: held-out users' mean sampled reward after minus before, with its 95% interval. Accuracy and margin over the last tenth of the steps; KL to the policy that the iteration started from.",
    table(iterations, columns, "Iterations"),
  );
}

function policiesTable({ llm, tests }: RunView): HTMLElement {
  const rows = Object.entries(llm).map(([policy, figures]) => {
    const test = tests.find(({ arm, against, metric }) => arm === policy && against === "llm-0" && metric === "reward");
    return { policy, ...figures, test };
  });
  type Row = (typeof rows)[number];
  const columns = [
    { head: "policy", cell: ({ policy }: Row) => policy },
    { head: "sampled reward", number: true, cell: ({ reward }: Row) => fixed(reward) },
    { head: "to llm-0", number: true, cell: ({ test }: Row) => (test === undefined ? "\u2013" : signed(test.difference)) },
    { head: "p (Holm)", number: true, cell: ({ test }: Row) => (test === undefined ? "\u2013" : probability(test.pHolm)) },
    { head: "best of N", number: true, cell: ({ bestOfN }: Row) => fixed(bestOfN) },
    { head: "win rate", number: true, cell: (row: Row) => percent(row.winRate, 1) },
    { head: "structure rate", number: true, cell: (row: Row) => percent(row.structureRate, 1) },
    { head: "conforming", number: true, cell: (row: Row) => percent(row.conforming, 1) },
    { head: "tokens", number: true, cell: ({ tokens }: Row) => fixed(tokens, 1) },
    { head: "distinct-2", number: true, cell: (row: Row) => fixed(row.distinct2, 3) },
  ];
  return tableFigure(
    "Policies.",
    `Figures of the samples of held-out align users, all judged by the first iteration's reward models (${count(rows.length)} policies).`,
    table(rows, columns, "Policies"),
  );
}
