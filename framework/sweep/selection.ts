/**
 * By what a sweep chooses among its trials: figures that a run has without looking at test users. Test users are reported for every trial and choose
 * none, or the best of many would be the luckiest.
 */
import { lastPolicy } from "../spec/arms.js";
import { overlap } from "../spec/pointer.js";
import type { SweepSettings } from "../spec/sweep.js";
import type { Spec } from "../spec/types.js";
import type { PlainFault } from "../spec/validate.js";

/** `reward`: of the last policy, on held-out align users. Else a metric of an arm on valid users; `arm` null = the last one with texts. */
export type SelectionMetric =
  | { readonly kind: "reward" }
  | { readonly kind: "valid"; readonly arm: string | null; readonly metric: string };

/** What a selection reads of a result. */
export interface SelectionFigures {
  readonly valid: Readonly<Record<string, Readonly<Record<string, { readonly mean: number }>>>>;
  readonly llm: Readonly<Record<string, { readonly reward: number }>>;
}

/** Sections that decide what a reward means: its models learn by them. Trials that differ in one are measured with different rulers. */
const rulers = {
  reward: [
    "/dataset",
    "/protocol",
    "/encoder",
    "/adaptor",
    "/reranker",
    "/textEncoder",
    "/reward",
    "/prompt",
    "/seeds",
    "/llm/seed", // draws who is held out
    "/alignment/rewardFolds",
    "/alignment/hears",
    "/alignment/users",
    "/alignment/heldOut",
  ],
  valid: ["/dataset", "/protocol"],
} as const;

/** @returns null where none is asked for */
export function selectionMetric({ metric }: SweepSettings, specs: readonly Spec[]): SelectionMetric | null {
  if (metric === null) return null;
  return parseSelection(metric ?? defaultMetric(specs));
}

function defaultMetric(specs: readonly Spec[]): string {
  return specs.every(({ alignment }) => alignment !== undefined) ? "reward" : (specs[0]?.protocol.metrics[0] ?? "ndcg@5");
}

/** @param text of the form that the spec's schema asks for: reward, ndcg@5, ARM/ndcg@5 */
export function parseSelection(text: string): SelectionMetric {
  if (text === "reward") return { kind: "reward" };
  const [metric = "", arm = null] = text.split("/").reverse();
  return { kind: "valid", arm, metric };
}

export function selectionText(metric: SelectionMetric): string {
  if (metric.kind === "reward") return "reward of held-out users";
  return `${metric.metric} of ${metric.arm ?? "the last arm with texts"} on valid users`;
}

/** The higher the better; null where the run does not have it. */
export function selectionValue({ valid, llm }: SelectionFigures, metric: SelectionMetric): number | null {
  const value = metric.kind === "reward" ? llm[lastTold(llm)]?.reward : valid[metric.arm ?? lastTold(valid)]?.[metric.metric]?.mean;
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

/** The last policy, or the template where no LLM writes. */
export function lastTold(arms: Readonly<Record<string, unknown>>): string {
  const names = Object.keys(arms);
  return lastPolicy(names) ?? (names.includes("metadata") ? "metadata" : (names[0] ?? ""));
}

export function metricFaults(settings: SweepSettings, specs: readonly Spec[]): PlainFault[] {
  const metric = selectionMetric(settings, specs);
  if (metric === null) return [];
  const fault = (message: string, expected: string): PlainFault[] => [
    { code: "RLRF_SPEC_CONFLICT", pointer: "/sweep/metric", message, expected },
  ];
  const varied = rulerOf(settings, metric.kind, specs);
  if (varied !== undefined)
    return fault(
      `trials that differ in ${varied} are not measured by the same ${metric.kind === "reward" ? "reward models and users" : "lists"}`,
      metric.kind === "reward" ? "a metric on valid users, or null" : "null: the table without a choice",
    );
  if (metric.kind === "reward")
    return specs.every(({ alignment }) => alignment !== undefined)
      ? []
      : fault("a trial without alignment has no sampled reward", "a metric on valid users");
  if (specs.some(({ protocol }) => !protocol.metrics.includes(metric.metric)))
    return fault(`${metric.metric} is not among protocol.metrics of every trial`, "a metric that every trial reports");
  const { arm } = metric;
  if (arm !== null && specs.some((spec) => !reports(spec, arm)))
    return fault(`not every trial has the arm "${arm}"`, "an arm of every trial, or none named");
  return [];
}

/** The pointers of {@link rulers}; the recommender's part in a reward is by the LLM's own texts unless it hears the template's. */
export function rulersOf(kind: SelectionMetric["kind"], specs: readonly Pick<Spec, "alignment">[]): readonly string[] {
  const heard = specs.every(({ alignment }) => alignment?.hears === "template");
  return kind === "reward" && !heard ? [...rulers.reward, "/llm", "/alignment/warmup"] : rulers[kind];
}

function rulerOf({ axes }: SweepSettings, kind: SelectionMetric["kind"], specs: readonly Spec[]): string | undefined {
  const sections = rulersOf(kind, specs);
  return Object.keys(axes).find((pointer) => sections.some((section) => overlap(pointer, section)));
}

/** best-of-N ranks no valid users. */
function reports({ arms }: Spec, arm: string): boolean {
  return /^llm-(?:\d+|warm)$/.test(arm)
    ? arms.includes("llm")
    : arm !== "best-of-N" && arm !== "llm" && (arms as readonly string[]).includes(arm);
}
