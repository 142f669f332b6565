/** The axes of a sweep's picture: what was varied, and what came of it. */
import type { SweepView, TrialView } from "./data.js";
import { metricName } from "./format.js";

/** One vertical axis: where on it a trial lies, 0 at the bottom, 1 at the top; null where it has no value. */
export interface Axis {
  readonly name: string;
  readonly place: (trial: TrialView) => number | null;
  readonly ticks: readonly { readonly at: number; readonly text: string }[];
}

/** "/loss/options/beta" is options.beta. */
export function shortName(pointer: string): string {
  return pointer.split("/").slice(-2).join(".");
}

export function axesOf(sweep: SweepView, arm: string, metric: string): Axis[] {
  const varied = sweep.axes.map((pointer) => axis(shortName(pointer), sweep.trials, ({ values }) => values[pointer]));
  const selection = sweep.metric === null ? [] : [axis(`by ${metricName(sweep.metric)}`, sweep.trials, (trial) => trial.selection)];
  const figure = axis(`${arm}: ${metricName(metric)}`, sweep.trials, ({ arms }) => arms[arm]?.[metric]?.mean);
  return [...varied, ...selection, figure].filter(({ ticks }) => ticks.length > 0);
}

export function axis(name: string, trials: readonly TrialView[], of: (trial: TrialView) => unknown): Axis {
  const known = trials.map(of).filter((value) => value !== null && value !== undefined);
  const numbers = known.filter((value) => typeof value === "number");
  const scale = numbers.length === known.length && new Set(numbers).size > 1 ? numeric(numbers) : ordinal(known);
  const place = (trial: TrialView) => {
    const value = of(trial);
    return value === null || value === undefined ? null : scale.at(value);
  };
  return { name, place, ticks: scale.ticks };
}

interface Scale {
  readonly at: (value: unknown) => number;
  readonly ticks: Axis["ticks"];
}

/** By value, or by its logarithm where the values span a hundredfold; every value has a tick while they are few. */
function numeric(numbers: readonly number[]): Scale {
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  const [scale, back] = low > 0 && high / low >= 100 ? [Math.log, Math.exp] : [(value: number) => value, (value: number) => value];
  const at = (value: number) => (scale(value) - scale(low)) / (scale(high) - scale(low));
  const distinct = [...new Set(numbers)].sort((a, b) => a - b);
  const shown = distinct.length <= 6 ? distinct : [low, back((scale(low) + scale(high)) / 2), high];
  return { at: (value) => at(Number(value)), ticks: shown.map((value) => ({ at: at(value), text: String(Number(value.toPrecision(4))) })) };
}

/** In the order in which they are met. */
function ordinal(values: readonly unknown[]): Scale {
  const distinct = [...new Set(values.map((value) => JSON.stringify(value)))];
  const at = (text: string) => (distinct.length < 2 ? 0.5 : distinct.indexOf(text) / (distinct.length - 1));
  const ticks = distinct.map((text) => ({ at: at(text), text: text.replace(/^"|"$/g, "").slice(0, 24) }));
  return { at: (value) => at(JSON.stringify(value)), ticks };
}
