/** What a policy writes: the greedy text of every user, sampled texts of held-out align users, and the N texts that are tuned on. */
import type { AdapterFiles } from "../contracts/llm.js";
import { hasRelevant } from "../data/labels.js";
import { RlrfError } from "../errors.js";
import { createRng } from "../rng.js";
import type { Alignment } from "../spec/types.js";
import { infer, type PolicyTexts, sampleTexts, type UserSample } from "./infer.js";
import type { ScoredSample } from "./pairs.js";
import { withPartners } from "./partners.js";
import { listsOf } from "./recommender.js";
import type { RewardModels } from "./reward.js";
import { writeWith } from "./sampler.js";
import type { UserText } from "./structure.js";
import type { Study, TuningParts } from "./study.js";

export interface Policy extends PolicyTexts {
  /** Greedy, one a user. */
  readonly texts: readonly UserSample[];
  /** N texts of each held-out align user: by these a policy is judged. */
  readonly heldOut: readonly (readonly UserSample[])[];
  /** What it was tuned to, as files; null: nothing. */
  readonly adapter: AdapterFiles | null;
}

export interface AlignUsers {
  /** Their texts are sampled, paired and tuned on. */
  readonly tuned: Int32Array;
  /** No pair is made of theirs: iterations are accepted by them. */
  readonly heldOut: Int32Array;
}

/** @throws RLRF_DATA_PARTS when there is nobody to tune on, or nobody to judge by */
export function alignUsers({ data, spec, parts, llmSeed }: Study): AlignUsers {
  if (spec.alignment === undefined) return { tuned: new Int32Array(), heldOut: new Int32Array() };
  const { users, heldOut } = spec.alignment;
  const drawn = createRng(llmSeed, spec.protocol.seed, "align users").shuffle(data.parts.align.slice());
  const kept = users === 0 ? drawn : drawn.subarray(0, users);
  const judging = Math.round(kept.length * heldOut);
  const dealt = { heldOut: kept.slice(0, judging).sort(), tuned: kept.slice(judging).sort() };
  if (dealt.tuned.length === 0 || dealt.heldOut.length === 0)
    throw tooFew(`of ${kept.length} align users ${dealt.tuned.length} are tuned on and ${dealt.heldOut.length} held out`);
  // A text has a reward only where its user has something relevant to be ranked; a reward that ranks nothing always gives one.
  if (parts.reward?.reads === undefined && !listsOf(data, dealt.heldOut).some((list) => hasRelevant(data.lists, list)))
    throw tooFew(`none of the ${dealt.heldOut.length} held-out align users has a relevant item in any list`);
  return dealt;
}

function tooFew(message: string): RlrfError {
  return new RlrfError("RLRF_DATA_PARTS", {
    message: `${message}: no iteration could be judged`,
    where: "/alignment/heldOut",
    expected: "align users to tune on, and held-out ones with a relevant item",
    hint: "use more users (alignment.users, protocol.align), or another share of held-out ones",
  });
}

/** Step 1, and beside it what the policy is judged by: drawn with the same random numbers for every policy. */
export async function writePolicy(study: Study, name: string, adapter: AdapterFiles | null, heldOut: Int32Array): Promise<Policy> {
  await writeWith(study, adapter);
  const texts = await infer(study, name);
  const samples = study.parts.sampling?.samples ?? 1;
  return { name, texts, heldOut: await sampleTexts(study, heldOut, study.generation, samples, "held-out"), adapter };
}

/** The greedy texts that a sampling strategy may ask for beside the samples. */
export interface OwnTexts {
  /** Of the policy that is tuned. */
  readonly greedy: Policy;
  /** Of the policy before it, which is the same where there was none. */
  readonly previous: Policy;
}

/**
 * Steps 5 and 4: N texts of each user, scored by models that have seen nothing of the user. The other texts that the
 * strategy `needs` follow them, marked by their `origin`.
 */
export async function sampleScored(
  study: Study,
  { sampling, alignment }: TuningParts,
  users: Int32Array,
  reward: RewardModels,
  iteration: number,
  own: OwnTexts,
): Promise<ReadonlyMap<number, readonly ScoredSample[]>> {
  const drawn = await sampleTexts(study, users, sampling.generation, sampling.samples, `iteration ${iteration}`);
  const policies = sampling.needs.filter((origin) => origin !== "partners");
  const beside = Array.from(users, (user) => policies.map((origin) => ({ ...(own[origin].texts[user] as UserSample), origin })));
  const samples = drawn.map((texts, i) => [...texts.map((text) => ({ ...text, origin: "sample" as const })), ...(beside[i] ?? [])]);
  const rewards = await rewardsOf(reward, alignment, samples.flat());
  let next = 0;
  const scored = samples.map((texts) =>
    texts.map(({ text, tokens, finished, parsed, origin }): ScoredSample => {
      const { structureRate, conforms } = parsed;
      const form = { finished, structureRate, structured: conforms, conforms: conforms && finished };
      return { text, reward: rewards[next++] as number, length: tokens, origin, ...form };
    }),
  );
  const byUser = new Map(scored.map((texts, i) => [users[i] as number, texts]));
  if (sampling.partners === undefined) return byUser;
  const rng = createRng(study.llmSeed, "partners", iteration);
  return withPartners(byUser, sampling.partners, alignment.structure, rng, (texts) =>
    rewardsOf(
      reward,
      alignment,
      texts.map(({ user, text }) => study.userText(user, text)),
    ),
  );
}

/** By the recommender, and as far as the alignment says by the structure. */
async function rewardsOf(reward: RewardModels, alignment: Alignment, texts: readonly UserText[]): Promise<readonly number[]> {
  const weight = alignment.structure === "reward" ? alignment.structureWeight : 0;
  const rewards = await reward.score(texts);
  return texts.map(({ parsed }, i) => (1 - weight) * (rewards[i] as number) + weight * parsed.structureRate);
}
