/** From a spec with a sweep to its trials, each a spec of its own, validated before anything starts. Nothing heavy is imported. */
import type { Registry } from "../kernel/registry.js";
import { SpecFaults, type SpecFault } from "../spec/faults.js";
import { child, type Json } from "../spec/json.js";
import { forget, isObject, type Origin, originOf, originText, type SpecSource } from "../spec/origins.js";
import { putValue } from "../spec/override.js";
import { overlap, pointerKeys } from "../spec/pointer.js";
import { hasSweep, type ResolvedSpec, resolveSpec, type SpecRule } from "../spec/resolve.js";
import { type SweepSettings, sweepSchema } from "../spec/sweep.js";
import { type PlainFault, validate } from "../spec/validate.js";
import { hashOf } from "../store/hash.js";
import { budgetFaults, rungsOf } from "./halving.js";
import { type Choice, mostTrials, type Point, pointsOf, tooMany } from "./points.js";
import { metricFaults, type SelectionMetric, selectionMetric } from "./selection.js";

/** One run of a sweep. */
export interface Trial {
  /** t03, r2-t03, t03-s1: rung, point and seeds, each where there are several. */
  readonly id: string;
  /** From 1. */
  readonly point: number;
  /** From 1; always 1 without halving. */
  readonly rung: number;
  /** What the axes put into the spec, by pointer. */
  readonly values: Readonly<Record<string, Json>>;
  readonly seeds: Readonly<Record<string, Json>>;
  readonly budget: number | null;
  /** As it was put together; resolved below. */
  readonly source: SpecSource;
  readonly resolved: ResolvedSpec;
}

export interface Sweep {
  readonly name: string;
  /** Of everything that its table depends on. */
  readonly hash: string;
  readonly settings: SweepSettings;
  readonly metric: SelectionMetric | null;
  /** Points that go on in each rung, at most; one entry without halving. */
  readonly rungs: readonly { readonly budget: number | null; readonly points: number }[];
  /** Of every rung: which points reach the later ones is known only then. */
  readonly trials: readonly Trial[];
}

type Draft = Omit<Trial, "resolved">;

/** Sections that are not of the experiment itself. */
const outside = ["/name", "/sweep", "/tracking", "/executor", "/store", "/extends", "/$schema"];

/** @param besides as resolveSpec takes them @returns null for a spec without a sweep @throws SpecFaults with every fault of every trial */
export function expandSweep(source: SpecSource, registry: Registry, besides: readonly SpecRule[] = []): Sweep | null {
  if (!hasSweep(source) || !isObject(source.value)) return null;
  const { sweep, ...rest } = source.value;
  const settings = structuredClone(sweep) as unknown as SweepSettings;
  const stop = (faults: readonly PlainFault[]) => {
    if (faults.length > 0)
      throw new SpecFaults(
        source.name,
        faults.map((fault) => placed(fault, source.origins)),
      );
  };
  stop(validate(sweepSchema, settings, "the sweep", "/sweep"));
  stop([...pointerFaults(settings), ...budgetFaults(settings)]);
  const { points, faults } = pointsOf(settings);
  stop(faults);
  const rungs = rungsOf(settings, points.length);
  const seeds = seedsOf(settings);
  const count = rungs.length * points.length * seeds.length;
  if (count > mostTrials) stop(tooMany(count, "/sweep", "fewer points, seeds or rungs").faults);
  const origins = new Map(source.origins);
  forget(origins, "/sweep");
  const base: SpecSource = { name: source.name, value: rest, origins };
  const drafts = rungs.flatMap(({ budget }, rung) =>
    points.flatMap((point, number) =>
      seeds.map((own, seed) =>
        draftOf(base, source.origins, settings, { point, number, seed, own, rung, budget, of: [rungs, points, seeds] }),
      ),
    ),
  );
  const trials = resolveAll(source.name, drafts, registry, besides);
  stop(
    metricFaults(
      settings,
      trials.map(({ resolved }) => resolved.spec),
    ),
  );
  const metric = selectionMetric(
    settings,
    trials.map(({ resolved }) => resolved.spec),
  );
  const identity = { trials: trials.map(({ id, resolved }) => [id, resolved.hash]), metric, rungs };
  return { name: trials[0]?.resolved.spec.name ?? "", hash: hashOf(identity), settings, metric, rungs, trials };
}

function placed(fault: PlainFault, origins: ReadonlyMap<string, Origin>): SpecFault {
  const origin = originOf(origins, fault.pointer);
  return { ...fault, where: `${origin === undefined ? "" : `${originText(origin)} `}${fault.pointer}` };
}

function pointerFaults({ axes, seeds, budget }: SweepSettings): PlainFault[] {
  const places = [
    ...Object.keys(axes).map((pointer) => [pointer, child("/sweep/axes", pointer)] as const),
    ...Object.keys(seeds).map((pointer) => [pointer, child("/sweep/seeds", pointer)] as const),
    ...(budget === undefined ? [] : [[budget.pointer, "/sweep/budget/pointer"] as const]),
  ];
  return places.flatMap(([pointer, at], i) => {
    const taken = places
      .slice(0, i)
      .find(
        ([other, where]) =>
          overlap(pointer, other) && !(at.startsWith("/sweep/axes") && where.startsWith("/sweep/axes") && pointer !== other),
      );
    const broken =
      pointerKeys(pointer) === undefined
        ? [`"${pointer}" is no JSON pointer`, "a path such as /loss/options/beta"]
        : outside.some((section) => overlap(pointer, section))
          ? [`"${pointer}" is not varied by a sweep`, "a value of the experiment itself"]
          : taken !== undefined
            ? [`"${pointer}" is given twice: also by "${taken[0]}"`, "each value once"]
            : undefined;
    const [message = "", expected = ""] = broken ?? [];
    const hint = pointer.startsWith("/") ? {} : { hint: `did you mean "/${pointer.replaceAll(".", "/")}"?` };
    return broken === undefined ? [] : [{ code: "RLRF_SPEC_CONFLICT" as const, pointer: at, message, expected, ...hint }];
  });
}

/** Every combination of the seeds: one empty one where there are none. */
function seedsOf({ seeds }: SweepSettings): Point[] {
  let all: Map<string, Choice>[] = [new Map()];
  for (const [pointer, values] of Object.entries(seeds))
    all = all.flatMap((seed) =>
      values.map((value, i) => new Map(seed).set(pointer, { value, from: `${child("/sweep/seeds", pointer)}/${i}` })),
    );
  return all;
}

interface Place {
  readonly point: Point;
  readonly number: number;
  readonly seed: number;
  readonly own: Point;
  readonly rung: number;
  readonly budget: number | null;
  readonly of: readonly [rungs: { readonly length: number }, points: { readonly length: number }, seeds: { readonly length: number }];
}

function draftOf(base: SpecSource, origins: ReadonlyMap<string, Origin>, settings: SweepSettings, place: Place): Draft {
  const { point, number, seed, own, rung, budget, of } = place;
  const [rungs, points, seeds] = of;
  const spent: [string, Choice][] =
    budget === null || settings.budget === undefined ? [] : [[settings.budget.pointer, { value: budget, from: "/sweep/budget" }]];
  let source = base;
  for (const [pointer, { value, from }] of [...point, ...own, ...spent]) {
    const origin = originOf(origins, from) ?? { kind: "set", path: from };
    source = putValue(source, pointerKeys(pointer) ?? [], value, origin, pointer);
  }
  const padded = String(number + 1).padStart(String(points.length).length, "0");
  const id = [...(rungs.length > 1 ? [`r${rung + 1}`] : []), `t${padded}`, ...(seeds.length > 1 ? [`s${seed + 1}`] : [])].join("-");
  return { id, point: number + 1, rung: rung + 1, values: valuesOf(point), seeds: valuesOf(own), budget, source };
}

function valuesOf(point: Point): Record<string, Json> {
  return Object.fromEntries([...point].map(([pointer, { value }]) => [pointer, value]));
}

/** A fault that several trials share is told once, with the first of them. */
function resolveAll(name: string, drafts: readonly Draft[], registry: Registry, besides: readonly SpecRule[]): Trial[] {
  const found = new Map<string, { readonly fault: SpecFault; readonly trials: Draft[] }>();
  const trials: Trial[] = [];
  const byHash = new Map<string, Draft>();
  const add = (fault: SpecFault, draft: Draft) => {
    const key = JSON.stringify([fault.code, fault.pointer, fault.message, fault.where]);
    const known = found.get(key) ?? { fault, trials: [] };
    found.set(key, known);
    known.trials.push(draft);
  };
  for (const draft of drafts) {
    try {
      const resolved = resolveSpec(draft.source, registry, besides);
      const twin = byHash.get(resolved.hash);
      byHash.set(resolved.hash, twin ?? draft);
      if (twin === undefined) trials.push({ ...draft, resolved });
      else add(twinFault(draft, twin), draft);
    } catch (error) {
      if (!(error instanceof SpecFaults)) throw error;
      for (const fault of error.faults) add(fault, draft);
    }
  }
  if (found.size > 0)
    throw new SpecFaults(
      name,
      [...found.values()].map(({ fault, trials: broken }) => ofTrials(fault, broken, drafts.length)),
    );
  return trials;
}

function twinFault(draft: Draft, twin: Draft): SpecFault {
  const message = `the trials ${twin.id} and ${draft.id} are the same experiment`;
  return { code: "RLRF_SPEC_CONFLICT", pointer: "/sweep/axes", where: "/sweep/axes", message, expected: "values that make a difference" };
}

/** What every trial has is no fault of the sweep. */
function ofTrials(fault: SpecFault, [first, ...others]: readonly Draft[], of: number): SpecFault {
  if (first === undefined || others.length === of - 1) return fault;
  const more = others.length === 0 ? "" : `, and in ${others.length} more of ${of}`;
  return { ...fault, where: `${fault.where ?? ""}, in trial ${first.id} (${valuesText(first)})${more}` };
}

/** "/loss/options/beta = 0.1, /loss/plugin = ipo" */
export function valuesText({ values, seeds }: Pick<Trial, "values" | "seeds">): string {
  return Object.entries({ ...values, ...seeds })
    .map(([pointer, value]) => `${pointer} = ${valueText(value)}`)
    .join(", ");
}

/** A plugin is shown by its name, with its options. */
export function valueText(value: Json): string {
  if (typeof value === "string") return value;
  if (!isObject(value) || typeof value.plugin !== "string") return JSON.stringify(value);
  const { plugin, options } = value;
  return isObject(options) && Object.keys(options).length > 0 ? `${plugin} ${JSON.stringify(options)}` : plugin;
}
