/** How much all trials of a sweep will do together, told before anything is loaded. */
import type { Registry } from "../kernel/registry.js";
import type { Spec } from "../spec/types.js";
import type { Sweep, Trial } from "../sweep/expand.js";
import { amounts, type Estimate, estimate, fittedArms } from "./estimate.js";

/** At most: what is shared beyond the untuned policy's texts is known only when it is found in the store. */
export interface SweepCost {
  /** That run: with halving fewer than there are. */
  readonly trials: number;
  /** Recommenders and reward models. */
  readonly fits: number;
  readonly texts: number;
  /** Of these: asked of the same untuned policy by an earlier trial, and so written once. */
  readonly shared: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly pairs: number;
  /** Trials with an LLM whose number of users is not known before the data are read: they are in `trials` and `fits` alone. */
  readonly unknown: number;
}

/** @param usersOf of the data set of a spec, where that is known */
export function sweepCost(sweep: Sweep, registry: Registry, usersOf: (spec: Spec) => number | undefined): SweepCost {
  const costs = sweep.rungs.flatMap(({ points }, rung) => {
    const own = sweep.trials.filter((trial) => trial.rung === rung + 1);
    const seeds = own.length / new Set(own.map(({ point }) => point)).size;
    const all = own.map((trial) => costOf(trial, registry, usersOf));
    return all.sort((a, b) => (b.estimate?.completionTokens ?? 0) - (a.estimate?.completionTokens ?? 0)).slice(0, points * seeds);
  });
  const sum = (of: (cost: TrialCost) => number) => costs.reduce((total, cost) => total + of(cost), 0);
  const estimated = (of: (found: Estimate) => number) => sum(({ estimate: found }) => (found === null ? 0 : of(found)));
  const untuned = new Map(costs.map(({ untuned: { key, texts } }) => [key, texts]));
  const once = [...untuned.values()].reduce((total, texts) => total + texts, 0);
  const shared = sum((cost) => cost.untuned.texts) - once;
  return {
    trials: costs.length,
    fits: sum(({ fits }) => fits),
    texts: estimated(({ texts }) => texts),
    shared,
    promptTokens: estimated(({ promptTokens }) => promptTokens),
    completionTokens: estimated(({ completionTokens }) => completionTokens),
    pairs: estimated(({ pairs }) => pairs),
    unknown: sum(({ unknown }) => Number(unknown)),
  };
}

interface TrialCost {
  readonly fits: number;
  readonly estimate: Estimate | null;
  readonly unknown: boolean;
  /** What the untuned policy writes, and what that depends on. */
  readonly untuned: { readonly key: string; readonly texts: number };
}

function costOf({ resolved: { spec } }: Trial, registry: Registry, usersOf: (spec: Spec) => number | undefined): TrialCost {
  const users = usersOf(spec);
  const found = estimate(spec, registry, users);
  return { fits: fitsOf(spec), estimate: found, unknown: spec.llm !== undefined && found === null, untuned: untunedTexts(spec, users) };
}

/** An arm a round and seed, and the reward models of each iteration that fits some. */
function fitsOf(spec: Spec): number {
  const { seeds, protocol, alignment } = spec;
  const { refits } = amounts(spec, 0);
  return seeds.length * (Math.max(1, protocol.folds) * fittedArms(spec) + refits * (alignment?.rewardFolds ?? 0));
}

/** Greedy texts of all users, samples of held-out ones, and, where no warm-up comes first, the samples of iteration 1. */
function untunedTexts(spec: Spec, users: number | undefined): TrialCost["untuned"] {
  const { dataset, protocol, prompt, llm, sampling, alignment } = spec;
  if (llm === undefined || users === undefined) return { key: "", texts: 0 };
  const { heldOut, tuned, samples } = amounts(spec, users);
  const first = alignment !== undefined && alignment.warmup === null ? tuned * samples : 0;
  const held = alignment && [alignment.users, alignment.heldOut, alignment.rewardFolds, alignment.warmup === null];
  return { key: JSON.stringify([dataset, protocol, prompt, llm, sampling, held]), texts: users + heldOut * samples + first };
}
