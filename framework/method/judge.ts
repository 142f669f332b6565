/** How good a policy's sampled texts are, for align users that no tuning has seen: what accepts an iteration, and what the result says of the LLM. */
import { join } from "node:path";
import type { AdapterState } from "../contracts/llm.js";
import { mean } from "../metrics/aggregate.js";
import { bootstrapInterval, type Interval } from "../metrics/statistics.js";
import { readJson, writeJson } from "../store/files.js";
import type { Alignment } from "../spec/types.js";
import { logProbsOf } from "../tuning/log-probs.js";
import { compared } from "./comparisons.js";
import type { UserSample } from "./infer.js";
import type { Policy } from "./policy.js";
import { promptOf } from "./prompt.js";
import type { Comparison, LlmFigures } from "./result.js";
import type { RewardModels } from "./reward.js";
import type { Study, TuningParts } from "./study.js";

type Samples = readonly (readonly UserSample[])[];

/** Whether an iteration is kept, and by what. */
export interface Verdict {
  readonly accepted: boolean;
  /** Mean sampled reward of held-out align users after minus before. */
  readonly gain: Interval;
  /** Share of the held-out users' samples that are finished and in the asked structure, after the iteration. */
  readonly conforming: number;
  /** Why it is not kept; null when it is. */
  readonly reason: string | null;
}

/** A verdict with the rewards that it was given by: one a sample of a held-out user, NaN for users without a relevant item. */
export interface JudgedIteration {
  readonly verdict: Verdict;
  readonly rewards: { readonly before: readonly Float64Array[]; readonly after: readonly Float64Array[] };
}

export async function judgeIteration(
  study: Study,
  reward: RewardModels,
  alignment: Alignment,
  before: Samples,
  after: Samples,
): Promise<JudgedIteration> {
  const rewards = { before: await rewardsOf(reward, before), after: await rewardsOf(reward, after) };
  const verdict = verdictOf(alignment, gainOf(study, rewards), conformingShare(before), conformingShare(after));
  return { verdict, rewards };
}

/** A rising reward that is paid for with the structure is not accepted: what cannot be parsed cannot be fed back. */
export function verdictOf(
  { accept, structure, structureFloor }: Pick<Alignment, "accept" | "structure" | "structureFloor">,
  gain: Interval,
  was: number,
  conforming: number,
): Verdict {
  const reasons = [
    ...(gain.mean > 0 ? [] : [`their sampled reward changed by ${show(gain.mean)} (${show(gain.low)} to ${show(gain.high)})`]),
    ...(structure !== "gate" || conforming >= structureFloor * was
      ? []
      : [`texts in the asked structure fell from ${percent(was)} to ${percent(conforming)}`]),
  ];
  const accepted = accept === "always" || reasons.length === 0;
  return { accepted, gain, conforming, reason: accepted ? null : reasons.join(", and ") };
}

function show(value: number): string {
  return value.toFixed(4);
}
function percent(value: number): string {
  return `${(100 * value).toFixed(0)}%`;
}

function conformingShare(samples: Samples): number {
  return mean(samples.flat().map(({ parsed, finished }) => Number(parsed.conforms && finished)));
}

/** Mean sampled reward of each user after minus before, with its interval over users. */
function gainOf(study: Study, { before, after }: JudgedIteration["rewards"]): Interval {
  const differences = after.map((rewards, user) => mean(rewards) - mean(before[user] as Float64Array));
  return bootstrapInterval(differences, { seed: study.spec.protocol.seed });
}

/**
 * KL(tuned policy || the policy that the iteration started from), estimated on the tuned policy's own samples: the mean of
 * log pi(y|x) - log ref(y|x), nats a text.
 */
export async function divergence(
  study: Study,
  { policy, alignment }: TuningParts,
  heldOut: Samples,
  reference: AdapterState,
): Promise<number> {
  const { data, dataKey, spec, context } = study;
  const inputs = {
    tuned: study.identityOf("llm"),
    reference,
    data: dataKey,
    prompt: spec.prompt,
    texts: heldOut.map((texts) => texts.map(({ user, text, finished }) => [user, text, finished])),
  };
  const step = await context.store.step({ step: "divergence", version: 2, inputs }, async (folder) => {
    const examples = heldOut
      .filter((texts) => texts.length > 0)
      .map((texts) =>
        policy.tokenize(
          promptOf(texts[0]?.user as number, data, spec.prompt),
          texts.map(({ text, finished }) => ({ text, ended: finished })),
        ),
      );
    const tuned = await policy.adapter();
    const after = await logProbsOf(policy, examples, alignment.batchSize, context.signal);
    policy.restore(reference);
    const before = await logProbsOf(policy, examples, alignment.batchSize, context.signal);
    policy.attach(alignment.lora, 0); // the reference may have had no adapter
    policy.restore(tuned);
    const differences = after.flatMap((values, i) => Array.from(values, (value, j) => value - (before[i]?.[j] as number)));
    await writeJson(join(folder, "divergence.json"), mean(differences));
  });
  return readJson<number>(join(step.folder, "divergence.json"));
}

/** Every policy by the same referee, and paired tests of the mean sampled reward by held-out user (metric "reward"). */
export async function judgePolicies(study: Study, referee: RewardModels, policies: readonly Policy[]): Promise<Judgement> {
  const figures: Record<string, LlmFigures> = {};
  const byUser = new Map<string, Float64Array>();
  const first = await rewardsOf(referee, policies[0]?.heldOut ?? []);
  for (const { name, heldOut } of policies) {
    const texts = heldOut.flat();
    const rewards = await rewardsOf(referee, heldOut);
    byUser.set(name, Float64Array.from(rewards, mean));
    figures[name] = {
      reward: mean(rewards.map(mean)),
      bestOfN: mean(rewards.map((values) => values.reduce((best, value) => Math.max(best, value), Number.NEGATIVE_INFINITY))),
      winRate: winRate(rewards, first),
      structureRate: mean(texts.map((text) => text.parsed.structureRate)),
      conforming: conformingShare(heldOut),
      tokens: mean(texts.map((text) => text.tokens)),
      distinct2: distinct2(texts.map((text) => text.text)),
    };
  }
  return { figures, tests: compared(byUser, "reward", study.spec.protocol.seed) };
}

export interface Judgement {
  readonly figures: Readonly<Record<string, LlmFigures>>;
  readonly tests: readonly Comparison[];
}

/** [users][N]; NaN for users without a relevant item */
async function rewardsOf(reward: RewardModels, samples: Samples): Promise<Float64Array[]> {
  const flat = await reward.score(samples.flat());
  let next = 0;
  return samples.map((texts) => {
    const from = next;
    next += texts.length;
    return flat.slice(from, next);
  });
}

/** Share of samples with a better reward than the same sample of the rival; a tie counts half. */
function winRate(rewards: readonly Float64Array[], rival: readonly Float64Array[]): number {
  const outcomes = rewards.flatMap((values, user) =>
    Array.from(values, (value, i) => {
      const difference = value - (rival[user]?.[i] as number);
      return Number.isNaN(difference) ? Number.NaN : (Math.sign(difference) + 1) / 2;
    }),
  );
  return mean(outcomes);
}

/** Distinct word bigrams over all bigrams (Li et al. 2016, arXiv 1510.03055). */
export function distinct2(texts: readonly string[]): number {
  const bigrams = texts.flatMap((text) => {
    const words = text.split(/\s+/).filter((word) => word !== "");
    return words.slice(1).map((word, i) => `${words[i]} ${word}`);
  });
  return bigrams.length === 0 ? 0 : new Set(bigrams).size / bigrams.length;
}
