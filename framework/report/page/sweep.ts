/** A sweep: its trials as lines across the axes that were varied, and the table behind them; a row of the table lights its line up. */
import type { SweepView, TrialView } from "./data.js";
import { h, replace, select } from "./dom.js";
import { figure, panel, tableFigure } from "./figure.js";
import { fixed, metricName } from "./format.js";
import { parallel } from "./parallel.js";
import { axesOf, shortName } from "./sweep-axes.js";
import { type Column, table } from "./table.js";

export function sweepSection(sweep: SweepView): HTMLElement[] {
  return new SweepBrowser(sweep).elements();
}

class SweepBrowser {
  private readonly arms: readonly string[];
  private readonly metrics: readonly string[];
  private arm: string;
  private metric: string;
  /** The trial whose row the reader is at. */
  private lit = "";
  private readonly lines = panel("", "");
  private readonly rows = h("div", {});

  constructor(private readonly sweep: SweepView) {
    const byArm = sweep.trials.map(({ arms }) => arms);
    this.arms = [...new Set(byArm.flatMap(Object.keys))];
    this.metrics = [...new Set(byArm.flatMap((arms) => Object.values(arms).flatMap(Object.keys)))];
    this.arm = this.arms.filter((name) => /^llm-/.test(name)).at(-1) ?? this.arms.at(-1) ?? "";
    this.metric = this.metrics[0] ?? "";
    for (const name of ["pointerover", "focusin", "click"]) this.rows.addEventListener(name, ({ target }) => this.light(target));
    this.draw();
  }

  elements(): HTMLElement[] {
    return [
      ...(this.arms.length === 0 ? [] : [this.controls()]),
      figure("Trials across the axes.", captionOf(this.sweep), this.lines),
      tableFigure("Trials.", "Heads sort.", this.rows),
      ...failures(this.sweep),
    ];
  }

  private controls(): HTMLElement {
    const choose = (label: string, key: "arm" | "metric", options: readonly (readonly [string, string])[]) =>
      select(label, options, this[key], (value) => {
        this[key] = value;
        this.draw();
      });
    const arms = this.arms.map((name) => [name, name] as const);
    const metrics = this.metrics.map((name) => [name, metricName(name)] as const);
    return h("div", { class: "controls" }, choose("Arm", "arm", arms), choose("Metric", "metric", metrics));
  }

  private draw(): void {
    this.drawLines();
    replace(this.rows, table(this.sweep.trials, columnsOf(this.sweep, this.arm, this.metric), "Trials"));
  }

  private drawLines(): void {
    replace(this.lines, parallel(this.sweep, axesOf(this.sweep, this.arm, this.metric), this.lit));
  }

  private light(target: EventTarget | null): void {
    const row = target instanceof Element ? target.closest("tr") : null;
    const id = row?.querySelector("th[scope=row]")?.textContent ?? "";
    if (id === this.lit || !this.sweep.trials.some((trial) => trial.id === id)) return;
    this.lit = id;
    for (const other of this.rows.querySelectorAll("tr")) other.classList.toggle("lit", other === row);
    this.drawLines();
  }
}

function captionOf({ strategy, metric, trials }: SweepView): string {
  const counted = (wanted: string) => trials.filter(({ state }) => state === wanted).length;
  const failed = counted("failed") === 0 ? "" : `, ${counted("failed")} failed`;
  const chosen =
    metric === null
      ? "No metric chooses among them."
      : `Chosen by ${metricName(metric)} on users that are not tested; figures of test users are reported alone.`;
  return `By ${strategy}: ${counted("done")} of ${trials.length} trials done${failed}. ${chosen} The stronger the blue, the better; vermilion: the best point; the trial of the row under the pointer or the focus is set in bold.`;
}

function columnsOf({ trials, axes, best }: SweepView, arm: string, metric: string): Column<TrialView>[] {
  const chosen = new Set(best?.trials ?? []);
  const stateOf = ({ id, state }: TrialView) => (chosen.has(id) ? "best" : state);
  const figureOf = ({ arms }: TrialView) => arms[arm]?.[metric]?.mean;
  const rung: Column<TrialView> = { head: "rung", cell: (trial) => String(trial.rung), by: (trial) => trial.rung };
  return [
    { head: "trial", cell: ({ id }) => h("button", { type: "button", class: "plain" }, id), by: ({ id }) => id },
    ...(trials.some((trial) => trial.rung > 1) ? [rung] : []),
    ...axes.map(
      (pointer): Column<TrialView> => ({
        head: shortName(pointer),
        cell: ({ values }) => textOf(values[pointer]),
        by: ({ values }) => (typeof values[pointer] === "number" ? values[pointer] : textOf(values[pointer])),
      }),
    ),
    { head: "state", cell: stateOf, by: stateOf },
    { head: "selection", number: true, cell: ({ selection }) => fixed(selection), by: ({ selection }) => selection ?? Number.NaN },
    {
      head: `${arm} ${metricName(metric)}`,
      number: true,
      cell: (trial) => fixed(figureOf(trial)),
      by: (trial) => figureOf(trial) ?? Number.NaN,
    },
  ];
}

function textOf(value: unknown): string {
  if (value === undefined || value === null) return fixed(null);
  return typeof value === "string" ? value : JSON.stringify(value);
}

function failures({ trials }: SweepView): HTMLElement[] {
  const failed = trials.filter(({ error }) => error !== null);
  if (failed.length === 0) return [];
  const items = failed.map(({ id, error }) => h("li", {}, `${id}: `, h("code", {}, error?.code ?? ""), ` ${error?.message ?? ""}`));
  return [h("h3", {}, "Trials that failed"), h("ul", { class: "warnings" }, ...items)];
}
