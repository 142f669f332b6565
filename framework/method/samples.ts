/** runs/ID/samples/ITERATION.jsonl: the rewards of the N texts a user, before and after an iteration. Its form is registry/samples.schema.json. */
import type { UserSample } from "./infer.js";
import { sampled, type ScoredSample } from "./pairs.js";
import type { Policy } from "./policy.js";
import { writeRows } from "./record.js";
import type { Study } from "./study.js";
import { thinned } from "./thinned.js";

/** Samples of some users, by one policy, with their rewards. */
export interface SampledSet {
  /** "tuned": pairs are made of them. "held-out": the iteration is judged by them. */
  readonly users: "tuned" | "held-out";
  readonly when: "before" | "after";
  readonly policy: string;
  readonly samples: readonly { readonly user: number; readonly texts: readonly RewardedText[] }[];
}
interface RewardedText {
  readonly text: string;
  /** NaN for users without a relevant item. */
  readonly reward: number;
  readonly tokens: number;
  readonly finished: boolean;
}

/** Larger sets are thinned out evenly, and their texts further. */
const limits = { users: 20_000, texts: 2_000 } as const;

export function tunedSamples(policy: string, samples: ReadonlyMap<number, readonly ScoredSample[]>): SampledSet {
  const texts = [...samples].map(([user, own]) => ({ user, texts: sampled(own).map((text) => ({ ...text, tokens: text.length })) }));
  return { users: "tuned", when: "before", policy, samples: texts };
}

/** @param rewards as `heldOut`: a row a user */
export function heldOutSamples(
  when: SampledSet["when"],
  { name, heldOut }: Pick<Policy, "name" | "heldOut">,
  rewards: readonly Float64Array[],
): SampledSet {
  const rewarded = (own: readonly UserSample[], row: number) =>
    own.map((text, i) => ({ ...text, reward: rewards[row]?.[i] ?? Number.NaN }));
  const samples = heldOut.flatMap((own, row) => (own[0] === undefined ? [] : [{ user: own[0].user, texts: rewarded(own, row) }]));
  return { users: "held-out", when, policy: name, samples };
}

export async function writeSamples(study: Study, iteration: number, sets: readonly SampledSet[]): Promise<void> {
  const rows = sets.flatMap(({ users, when, policy, samples }) => {
    const kept = thinned(samples, limits.users);
    const withTexts = new Set(thinned(kept, limits.texts));
    return kept.map((own) => ({
      user: study.data.users[own.user]?.id,
      users,
      when,
      policy,
      rewards: own.texts.map(({ reward }) => reward), // NaN is null in JSON
      tokens: own.texts.map(({ tokens }) => tokens),
      finished: own.texts.map(({ finished }) => finished),
      ...(withTexts.has(own) && { texts: own.texts.map(({ text }) => text) }),
    }));
  });
  await writeRows(study, ["samples", `${iteration}.jsonl`], rows);
}
