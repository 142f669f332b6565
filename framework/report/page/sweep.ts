/** A sweep: its trials as lines across the axes that were varied, and the table behind them; a row of the table lights its line up. */
import type { SweepView, TrialView } from "./data.js";
import { h, replace, select } from "./dom.js";
import { figure, panel, responsive, tableFigure } from "./figure.js";
import { fixed, metricName } from "./format.js";
import { blue, draw, muted, plot, rule, vermilion } from "./plot.js";
import { type Column, table } from "./table.js";

/** One vertical axis: where on it a trial lies, 0 at the bottom, 1 at the top; null where it has no value. */
interface Axis {
  readonly name: string;
  readonly place: (trial: TrialView) => number | null;
  readonly ticks: readonly { readonly at: number; readonly text: string }[];
}

export function sweepSection(sweep: SweepView): HTMLElement[] {
  const arms = [...new Set(sweep.trials.flatMap(({ arms: byArm }) => Object.keys(byArm)))];
  const metrics = [...new Set(sweep.trials.flatMap(({ arms: byArm }) => Object.values(byArm).flatMap(Object.keys)))];
  let arm = arms.filter((name) => /^llm-/.test(name)).at(-1) ?? arms.at(-1) ?? "";
  let metric = metrics[0] ?? "";
  let lit = "";
  const lines = panel("", "");
  const show = () => replace(lines, parallel(sweep, axesOf(sweep, arm, metric), lit));
  const rows = table(
    sweep.trials,
    columnsOf(sweep, () => [arm, metric]),
    "Trials",
  );
  const rowsPlace = h("div", {}, rows);
  const light = (event: Event) => {
    const row = event.target instanceof Element ? event.target.closest("tr") : null;
    const id = row?.querySelector("th[scope=row]")?.textContent ?? "";
    if (id === lit || !sweep.trials.some((trial) => trial.id === id)) return;
    lit = id;
    for (const other of rowsPlace.querySelectorAll("tr")) other.classList.toggle("lit", other === row);
    show();
  };
  for (const name of ["pointerover", "focusin", "click"]) rowsPlace.addEventListener(name, light);
  const again = (set: (value: string) => void) => (value: string) => {
    set(value);
    show();
    replace(
      rowsPlace,
      table(
        sweep.trials,
        columnsOf(sweep, () => [arm, metric]),
        "Trials",
      ),
    );
  };
  show();
  const controls = h(
    "div",
    { class: "controls" },
    select(
      "Arm",
      arms.map((name) => [name, name] as const),
      arm,
      again((value) => (arm = value)),
    ),
    select(
      "Metric",
      metrics.map((name) => [name, metricName(name)] as const),
      metric,
      again((value) => (metric = value)),
    ),
  );
  const done = sweep.trials.filter(({ state }) => state === "done").length;
  const failed = sweep.trials.filter(({ state }) => state === "failed").length;
  const chosen =
    sweep.metric === null
      ? "No metric chooses among them."
      : `Chosen by ${metricName(sweep.metric)} on users that are not tested; figures of test users are reported alone.`;
  const caption = `${sweep.strategy}; ${done} of ${sweep.trials.length} trials done${failed === 0 ? "" : `, ${failed} failed`}. ${chosen} The stronger the blue, the better; vermilion: the best point; the trial of the row under the pointer or the focus is set in bold.`;
  return [
    ...(arms.length === 0 ? [] : [controls]),
    figure("Trials across the axes.", caption, whole(lines)),
    tableFigure("Trials.", "Heads sort.", rowsPlace),
    ...failures(sweep),
  ];
}

function whole(element: HTMLElement): HTMLElement {
  element.classList.add("span");
  return element;
}

function short(pointer: string): string {
  return pointer.split("/").slice(-2).join(".");
}

function axesOf(sweep: SweepView, arm: string, metric: string): Axis[] {
  const varied = sweep.axes.map((pointer) => axis(short(pointer), sweep.trials, ({ values }) => values[pointer] ?? null));
  const figures = [
    ...(sweep.metric === null ? [] : [axis(`by ${metricName(sweep.metric)}`, sweep.trials, ({ selection }) => selection)]),
    ...(arm === "" ? [] : [axis(`${arm}: ${metricName(metric)}`, sweep.trials, ({ arms }) => arms[arm]?.[metric]?.mean ?? null)]),
  ];
  return [...varied, ...figures].filter(({ ticks }) => ticks.length > 0);
}

/** Numbers lie by their value, or by their logarithm where they span a hundredfold; everything else in the order of its first trial. */
function axis(name: string, trials: readonly TrialView[], of: (trial: TrialView) => unknown): Axis {
  const present = [
    ...new Set(
      trials
        .map(of)
        .filter((value) => value !== null && value !== undefined)
        .map((value) => JSON.stringify(value)),
    ),
  ];
  const numbers = present.map((text) => JSON.parse(text) as unknown).filter((value) => typeof value === "number");
  if (numbers.length < present.length || numbers.length < 2) {
    const at = (text: string) => (present.length < 2 ? 0.5 : present.indexOf(text) / (present.length - 1));
    const text = (value: string) => value.replace(/^"|"$/g, "");
    return {
      name,
      place: (trial) => placed(of(trial), (value) => at(JSON.stringify(value))),
      ticks: present.map((value) => ({ at: at(value), text: text(value).slice(0, 24) })),
    };
  }
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  const scale = low > 0 && high / low >= 100 ? Math.log : (value: number) => value;
  const at = (value: number) => (scale(value) - scale(low)) / (scale(high) - scale(low));
  const few = numbers.length <= 6 ? [...numbers].sort((a, b) => a - b) : [low, (low + high) / 2, high];
  return {
    name,
    place: (trial) => placed(of(trial), (value) => at(Number(value))),
    ticks: few.map((value) => ({ at: at(value), text: String(Number(value.toPrecision(4))) })),
  };
}

function placed(value: unknown, at: (value: unknown) => number): number | null {
  return value === null || value === undefined ? null : at(value);
}

function parallel(sweep: SweepView, axes: readonly Axis[], lit: string): HTMLElement {
  const best = new Set(sweep.best?.trials ?? []);
  const last = axes.at(-1);
  const points = sweep.trials.flatMap((trial) =>
    axes.flatMap(({ name, place }) => {
      const at = place(trial);
      return at === null
        ? []
        : [
            {
              trial: trial.id,
              axis: name,
              at,
              color: best.has(trial.id) ? vermilion : shade(last?.place(trial) ?? null),
              lit: trial.id === lit,
            },
          ];
    }),
  );
  return responsive((width) => {
    const ticks = axes.flatMap(({ name, ticks: own }) => own.map((tick) => ({ ...tick, axis: name })));
    const lines = (of: typeof points, strokeWidth: number) =>
      plot.line(of, { x: "axis", y: "at", z: "trial", stroke: "color", strokeWidth, strokeOpacity: 0.85, curve: "linear" });
    const narrow = width < 520;
    return draw({
      width,
      height: narrow ? 300 : 340,
      marginLeft: 24,
      marginRight: narrow ? 62 : 90,
      marginTop: narrow ? 60 : 34,
      marginBottom: 12,
      x: {
        type: "point",
        domain: axes.map(({ name }) => name),
        label: null,
        axis: "top",
        tickSize: 0,
        tickPadding: 10,
        tickRotate: narrow ? -30 : 0,
        padding: 0.1,
      },
      y: { domain: [0, 1], axis: null },
      color: { type: "identity" },
      marks: [
        plot.ruleX(axes, { x: "name", stroke: rule, strokeWidth: 1.5 }),
        lines(points, 1.5),
        lines(
          points.filter((point) => best.has(point.trial)),
          2,
        ),
        lines(
          points.filter((point) => point.lit),
          4,
        ),
        plot.dot(points, { x: "axis", y: "at", r: 2.5, fill: "color" }),
        plot.text(ticks, {
          x: "axis",
          y: "at",
          text: "text",
          dx: 7,
          textAnchor: "start",
          fill: "currentColor",
          stroke: "var(--paper)",
          strokeWidth: 4,
          fontSize: 11,
        }),
      ],
    });
  }, "Trials of the sweep as lines across the varied values and the figures");
}

/** From light to full blue, by place on the last axis. */
function shade(at: number | null): string {
  return at === null ? muted : `color-mix(in srgb, ${blue} ${Math.round(25 + 75 * at)}%, var(--rule))`;
}

function columnsOf(sweep: SweepView, chosen: () => readonly [string, string]): Column<TrialView>[] {
  const [arm, metric] = chosen();
  const best = new Set(sweep.best?.trials ?? []);
  const text = (value: unknown) =>
    value === undefined || value === null ? "\u2013" : typeof value === "string" ? value : JSON.stringify(value);
  const key = (value: unknown) => (typeof value === "number" ? value : text(value));
  const number = (value: number | null | undefined) => value ?? Number.NaN;
  return [
    { head: "trial", cell: ({ id }) => h("button", { type: "button", class: "plain" }, id), by: ({ id }) => id },
    ...(sweep.trials.some(({ rung }) => rung > 1)
      ? [{ head: "rung", cell: ({ rung }: TrialView) => String(rung), by: ({ rung }: TrialView) => rung }]
      : []),
    ...sweep.axes.map((pointer) => ({
      head: short(pointer),
      cell: ({ values }: TrialView) => text(values[pointer]),
      by: ({ values }: TrialView) => key(values[pointer]),
    })),
    { head: "state", cell: ({ id, state }) => (best.has(id) ? "best" : state), by: ({ id, state }) => (best.has(id) ? "best" : state) },
    { head: "selection", number: true, cell: ({ selection }) => fixed(selection), by: ({ selection }) => number(selection) },
    {
      head: `${arm} ${metricName(metric)}`,
      number: true,
      cell: ({ arms }) => fixed(arms[arm]?.[metric]?.mean),
      by: ({ arms }) => number(arms[arm]?.[metric]?.mean),
    },
  ];
}

function failures({ trials }: SweepView): HTMLElement[] {
  const failed = trials.filter(({ error }) => error !== null);
  if (failed.length === 0) return [];
  return [
    h("h3", {}, "Trials that failed"),
    h(
      "ul",
      { class: "warnings" },
      ...failed.map(({ id, error }) => h("li", {}, `${id}: `, h("code", {}, error?.code ?? ""), ` ${error?.message ?? ""}`)),
    ),
  ];
}
