/** From the axes of a sweep to its points: every combination, or some by lot. */
import type { Json } from "../spec/json.js";
import { child } from "../spec/json.js";
import type { Axis, SweepSettings } from "../spec/sweep.js";
import type { PlainFault } from "../spec/validate.js";
import { createRng } from "../rng.js";
import type { Rng } from "../contracts/plugin.js";
import { canonicalJson } from "../store/hash.js";

/** One value of an axis, and where it was written. */
export interface Choice {
  readonly value: Json;
  /** JSON pointer into the spec that has the sweep. */
  readonly from: string;
}

/** Axis pointer -> its value, outer pointers first. */
export type Point = ReadonlyMap<string, Choice>;

/** More would hardly be looked at, and each is validated before anything starts. */
export const mostTrials = 1000;

/** Digits that a drawn or computed value keeps: a spec is read by people, too. */
const digits = { drawn: 4, spaced: 6 } as const;
/** Draws without a new point, in a row, after which there are taken to be no more. */
const patience = 1000;

/** @returns the points, or what is wrong with the section "sweep" */
export function pointsOf(settings: SweepSettings): { readonly points: readonly Point[]; readonly faults: readonly PlainFault[] } {
  const faults = Object.entries(settings.axes).flatMap(([pointer, axis]) => axisFaults(settings, pointer, axis));
  if (faults.length > 0) return { points: [], faults };
  const drawn = settings.strategy === "random" || (settings.strategy === "halving" && settings.trials !== undefined);
  return drawn ? draw(settings) : combine(settings);
}

function axisFaults(settings: SweepSettings, pointer: string, axis: Axis): PlainFault[] {
  const at = child("/sweep/axes", pointer);
  const forms = (["values", "range", "log"] as const).filter((form) => axis[form] !== undefined);
  const [low, high] = axis.range ?? axis.log ?? [0, 1];
  const continuous = axis.values === undefined && axis.count === undefined;
  const drawn = settings.strategy !== "grid" && settings.trials !== undefined;
  const rules: readonly [broken: boolean, where: string, message: string, expected: string][] = [
    [forms.length !== 1, at, `an axis has ${forms.length === 0 ? "nothing to vary" : forms.join(" and ")}`, "one of: values, range, log"],
    [!(low < high), at, `the range from ${low} to ${high} is empty`, "a lower and a higher end"],
    [axis.integer && Math.ceil(low) > Math.floor(high), at, `no whole number lies from ${low} to ${high}`, "a wider range"],
    [axis.log !== undefined && low <= 0, child(at, "log"), `a logarithmic range from ${low}`, "ends above 0"],
    [
      axis.values !== undefined && axis.count !== undefined,
      child(at, "count"),
      "listed values have no count",
      "a count beside range or log",
    ],
    [axis.values !== undefined && axis.integer, child(at, "integer"), "listed values are not rounded", "integer beside range or log"],
    [
      forms.length === 1 && continuous && !drawn,
      at,
      "a range without a count has no last value, so not every combination can be tried",
      'a "count", or strategy random or halving with "trials"',
    ],
  ];
  return rules
    .filter(([broken]) => broken)
    .map(([, where, message, expected]) => ({ code: "RLRF_SPEC_CONFLICT", pointer: where, message, expected }));
}

/** The last axis varies fastest. */
function combine(settings: SweepSettings): ReturnType<typeof pointsOf> {
  const axes = ordered(settings).map(([pointer, axis]) => [pointer, choicesOf(pointer, axis)] as const);
  const count = axes.reduce((product, [, choices]) => product * choices.length, 1);
  if (count > mostTrials) return tooMany(count, "/sweep/axes", "fewer values, or strategy random");
  let points: Map<string, Choice>[] = [new Map()];
  for (const [pointer, choices] of axes) points = points.flatMap((point) => choices.map((choice) => new Map(point).set(pointer, choice)));
  return { points, faults: [] };
}

function draw(settings: SweepSettings): ReturnType<typeof pointsOf> {
  const { seed, trials = 0 } = settings;
  const axes = ordered(settings);
  const rng = createRng(seed, "sweep");
  const points = new Map<string, Point>();
  for (let vain = 0; points.size < trials && vain < patience; ) {
    const point = new Map(axes.map(([pointer, axis]) => [pointer, drawOne(pointer, axis, rng)]));
    const key = canonicalJson([...point.values()].map(({ value }) => value));
    vain = points.has(key) ? vain + 1 : 0;
    points.set(key, point);
  }
  if (points.size === trials) return { points: [...points.values()], faults: [] };
  const message = `${trials} trials were asked for, and the axes have ${points.size} different points`;
  return {
    points: [],
    faults: [{ code: "RLRF_SPEC_CONFLICT", pointer: "/sweep/trials", message, expected: "as many points, or strategy grid" }],
  };
}

/** What is put inside of something comes after it. */
function ordered({ axes }: SweepSettings): [string, Axis][] {
  const depth = ([pointer]: [string, Axis]) => pointer.split("/").length;
  return Object.entries(axes).sort((a, b) => depth(a) - depth(b));
}

function choicesOf(pointer: string, axis: Axis): Choice[] {
  const at = child("/sweep/axes", pointer);
  if (axis.values !== undefined) return axis.values.map((value, i) => ({ value, from: `${at}/values/${i}` }));
  const { count = 2 } = axis;
  const spaced = Array.from({ length: count }, (_, i) => between(axis, i / (count - 1), digits.spaced));
  return [...new Set(spaced)].map((value) => ({ value, from: at }));
}

function drawOne(pointer: string, axis: Axis, rng: Rng): Choice {
  const at = child("/sweep/axes", pointer);
  if (axis.values !== undefined || axis.count !== undefined) {
    const choices = choicesOf(pointer, axis);
    return choices[rng.below(choices.length)] as Choice;
  }
  if (axis.integer && axis.range !== undefined) {
    const [first, last] = [Math.ceil(axis.range[0]), Math.floor(axis.range[1])];
    return { value: first + rng.below(last - first + 1), from: at };
  }
  return { value: between(axis, rng.uniform(), digits.drawn), from: at };
}

/** @param share of the way from the lowest to the highest value */
function between({ range, log, integer }: Axis, share: number, precision: number): number {
  const [low, high] = log ?? range ?? [0, 1];
  const value = log === undefined ? low + share * (high - low) : low * (high / low) ** share;
  if (integer) return Math.min(Math.floor(high), Math.max(Math.ceil(low), Math.round(value)));
  return Math.min(high, Math.max(low, Number(value.toPrecision(precision))));
}

export function tooMany(count: number, pointer: string, expected: string): ReturnType<typeof pointsOf> {
  const message = `the sweep has ${count} trials, more than ${mostTrials}`;
  return { points: [], faults: [{ code: "RLRF_SPEC_CONFLICT", pointer, message, expected }] };
}
