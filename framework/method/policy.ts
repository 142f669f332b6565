/** What a policy writes: the greedy text of every user, sampled texts of held-out align users, and the N texts that are tuned on. */
import type { AdapterFiles } from "../contracts/llm.js";
import type { Rng } from "../contracts/plugin.js";
import { hasRelevant } from "../data/labels.js";
import { RlrfError } from "../errors.js";
import { bestOf, ranked } from "../feedback/candidates.js";
import { createRng } from "../rng.js";
import type { Alignment } from "../spec/types.js";
import { infer, type PolicyTexts, sampleTexts, type UserSample } from "./infer.js";
import { eligibleFor, type ScoredSample, sampled } from "./pairs.js";
import { listsOf } from "./recommender.js";
import type { RewardModels } from "./reward.js";
import { writeWith } from "./sampler.js";
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
  const written = drawn.map((texts, i): OriginText[] => [
    ...texts.map((text) => ({ ...text, origin: "sample" as const })),
    ...policies.map((origin) => ({ ...(own[origin].texts[users[i] as number] as UserSample), origin })),
  ]);
  const scored = await scoredBy(reward, alignment, written);
  if (sampling.partners === undefined) return new Map(scored.map((texts, i) => [users[i] as number, texts]));
  const best = scored.map((texts) => bestOf(ranked(sampled(texts).map((text) => eligible(text, alignment)))));
  const offered = written.map((texts, i) => texts[best[i]?.index ?? -1]);
  const met = partnersOf(offered, sampling.partners, createRng(study.llmSeed, "partners", iteration));
  const theirs = met.map((partners, i) =>
    partners.map((text): OriginText => ({ ...text, user: users[i] as number, origin: "partners", of: text.user })),
  );
  const beside = await scoredBy(reward, alignment, theirs);
  return new Map(scored.map((texts, i) => [users[i] as number, [...texts, ...(beside[i] ?? [])]]));
}

type OriginText = UserSample & Pick<ScoredSample, "origin" | "of">;

/** @param texts a row a user */
async function scoredBy(reward: RewardModels, alignment: Alignment, texts: readonly (readonly OriginText[])[]): Promise<ScoredSample[][]> {
  const rewards = await reward.score(texts.flat());
  const weight = alignment.structure === "reward" ? alignment.structureWeight : 0;
  let next = 0;
  return texts.map((row) =>
    row.map(({ text, tokens, finished, parsed, origin, of }): ScoredSample => {
      const { structureRate, conforms } = parsed;
      const value = (1 - weight) * (rewards[next++] as number) + weight * structureRate;
      const form = { finished, structureRate, structured: conforms, conforms: conforms && finished };
      return { text, reward: value, length: tokens, origin, ...(of !== undefined && { of }), ...form };
    }),
  );
}

/** What may not be compared has no reward. */
function eligible(text: ScoredSample, { structure }: Alignment): ScoredSample {
  return eligibleFor(text, structure)[0] ?? { ...text, reward: Number.NaN };
}

/**
 * Whose texts come along with whose: each user's neighbours on a ring in random order, as many on either side, so that
 * two users always meet each other.
 * @param offered a text a user; users without one meet nobody @returns by user the texts of those it meets
 */
export function partnersOf<Text>(offered: readonly (Text | undefined)[], partners: number, rng: Rng): Text[][] {
  const ring = rng.shuffle(offered.flatMap((text, user) => (text === undefined ? [] : [{ user, text }])));
  const met = offered.map((): Text[] => []);
  for (const [place, { user, text }] of ring.entries()) {
    const reach = Math.min(partners / 2, Math.floor(ring.length / 2));
    for (let step = 1; step <= reach; step++) {
      if (2 * step === ring.length && 2 * place >= ring.length) continue; // each the other's opposite: they have met
      const other = ring[(place + step) % ring.length] as (typeof ring)[number];
      met[user]?.push(other.text);
      met[other.user]?.push(text);
    }
  }
  return met;
}
