/** The section "sweep" of a spec: its JSON Schema, with every default, and what it is once they are filled in. */
import { metricPattern } from "../metrics/ranking.js";
import type { Json } from "./json.js";

/** Exactly one of `values`, `range` and `log`. */
export interface Axis {
  readonly values?: readonly Json[];
  readonly range?: readonly [number, number];
  readonly log?: readonly [number, number];
  /** Of a range: that many values, evenly spaced, both ends among them; left out, every value between them. */
  readonly count?: number;
  readonly integer: boolean;
}

export interface Budget {
  readonly pointer: string;
  readonly from: number;
  readonly to: number;
  readonly factor: number;
}

export interface SweepSettings {
  readonly strategy: "grid" | "random" | "halving";
  readonly axes: Readonly<Record<string, Axis>>;
  readonly seeds: Readonly<Record<string, readonly Json[]>>;
  readonly trials?: number;
  readonly seed: number;
  readonly budget?: Budget;
  /** Absent: chosen by what a run offers; null: no trial is chosen. */
  readonly metric?: string | null;
  readonly maxConcurrent: number;
  readonly resources: { readonly cpus: number; readonly gpus: number; readonly memory: number };
}

const pointer = { type: "string" } as const;
const interval = { type: "array", items: { type: "number", unit: "as the value" }, minItems: 2, maxItems: 2 } as const;
const values = { type: "array", minItems: 1, maxItems: 1000, uniqueItems: true } as const;

const axis = {
  type: "object",
  description: "What one value of the spec is varied over: `values`, `range` or `log`.",
  properties: {
    values: { ...values, description: "The values themselves: numbers, names, or whole sections such as a plugin with its options." },
    range: { ...interval, description: "From the lowest to the highest value, evenly." },
    log: { ...interval, description: "From the lowest to the highest value, evenly in their logarithm." },
    count: {
      type: "integer",
      minimum: 2,
      maximum: 1000,
      unit: "values",
      description: "Of a range: that many values, evenly spaced, both ends among them. A grid needs it; left out, any value may be drawn.",
    },
    integer: { type: "boolean", default: false, description: "Of a range: whether its values are rounded to whole numbers." },
  },
  additionalProperties: false,
} as const;

export const sweepSchema = {
  type: "object",
  description: "Many trials of this spec instead of one run: which of its values are varied, and how.",
  properties: {
    strategy: {
      enum: ["grid", "random", "halving"],
      default: "grid",
      description:
        "Every combination; `trials` of them by lot; or successive halving: all with a small budget, the best of them with more.",
    },
    axes: {
      type: "object",
      minProperties: 1,
      additionalProperties: axis,
      description: "JSON pointer into the spec -> what is put there. An inner pointer is applied after an outer one.",
    },
    seeds: {
      type: "object",
      additionalProperties: values,
      default: {},
      description: "JSON pointer of a seed -> its values. Each point of the axes is tried with every one; the metric is their mean.",
    },
    trials: {
      type: "integer",
      minimum: 1,
      maximum: 1000,
      unit: "points",
      description: "Points drawn from the axes, no two the same; needed by `random`. With `halving` left out: every combination.",
    },
    seed: { type: "integer", minimum: 0, maximum: 2 ** 31 - 1, default: 1, unit: "seed", description: "Of the points drawn." },
    budget: {
      type: "object",
      description: "With `halving`: the value that stands for the effort, such as the epochs, users or iterations of the alignment.",
      properties: {
        pointer: { ...pointer, description: "Where it stands in the spec." },
        from: { type: "number", exclusiveMinimum: 0, unit: "as the value", description: "In the first rung." },
        to: { type: "number", exclusiveMinimum: 0, unit: "as the value", description: "In the last rung, at most." },
        factor: {
          type: "number",
          exclusiveMinimum: 1,
          default: 3,
          unit: "factor",
          description: "By which the budget grows from rung to rung, and the number of points falls.",
        },
      },
      required: ["pointer", "from", "to"],
      additionalProperties: false,
    },
    metric: {
      type: ["string", "null"],
      pattern: `^(?:reward|(?:[A-Za-z0-9-]+/)?${metricPattern})$`,
      form: "reward, a metric on valid users (ndcg@K, map@K, ARM/ndcg@K), or null",
      description:
        "By which a trial is chosen, never on test users: `reward`, the mean sampled reward of held-out align users under the last policy; or a metric on valid users, `ndcg@5` of the last arm with texts or `ARM/ndcg@5`. Left out: `reward` with alignment, else the first of `protocol.metrics`. null: none is chosen.",
    },
    maxConcurrent: { type: "integer", minimum: 1, default: 1, unit: "trials", description: "Trials that run at once, at most." },
    resources: {
      type: "object",
      description: "What a trial takes at most, for executors that distribute trials.",
      default: {},
      properties: {
        cpus: { type: "number", exclusiveMinimum: 0, default: 1, unit: "cores", description: "Cores." },
        gpus: { type: "number", minimum: 0, default: 0, unit: "GPUs", description: "GPUs." },
        memory: { type: "integer", minimum: 0, default: 2 ** 31, unit: "bytes", description: "Memory." },
      },
      additionalProperties: false,
    },
  },
  required: ["axes"],
  additionalProperties: false,
} as const;
