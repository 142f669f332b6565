/** Step 5 for a strategy that compares users: the best samples of some others beside a user's own, rewarded as if they were this user's. */
import type { Rng } from "../contracts/plugin.js";
import type { Alignment } from "../spec/types.js";
import { bestSample, type ScoredSample } from "./pairs.js";

/** @param samples by user number @param rewardsOf the reward of each text for the user that it is said to be of */
export async function withPartners(
  samples: ReadonlyMap<number, readonly ScoredSample[]>,
  partners: number,
  structure: Alignment["structure"],
  rng: Rng,
  rewardsOf: (texts: readonly { readonly user: number; readonly text: string }[]) => Promise<readonly number[]>,
): Promise<ReadonlyMap<number, readonly ScoredSample[]>> {
  const users = [...samples.keys()];
  const offered = [...samples].map(([user, texts]): ScoredSample | undefined => {
    const best = bestSample(texts, structure);
    return best && { ...best, origin: "partners", of: user };
  });
  const met = partnersOf(offered, partners, rng);
  const rewards = await rewardsOf(met.flatMap((texts, i) => texts.map(({ text }) => ({ user: users[i] as number, text }))));
  let next = 0;
  const theirs = met.map((texts) => texts.map((text): ScoredSample => ({ ...text, reward: rewards[next++] as number })));
  return new Map([...samples].map(([user, own], i) => [user, [...own, ...(theirs[i] ?? [])]]));
}

/**
 * Whose texts come along with whose: each user's neighbours on a ring in random order, as many on either side, so that
 * two users always meet each other.
 * @param offered a text a user; users without one meet nobody @returns by user the texts of those it meets
 */
export function partnersOf<Text>(offered: readonly (Text | undefined)[], partners: number, rng: Rng): Text[][] {
  const ring = rng.shuffle(offered.flatMap((text, user) => (text === undefined ? [] : [{ user, text }])));
  const met = offered.map((): Text[] => []);
  const reach = Math.min(partners / 2, Math.floor(ring.length / 2));
  for (const [place, { user, text }] of ring.entries())
    for (let step = 1; step <= reach; step++) {
      if (2 * step === ring.length && 2 * place >= ring.length) continue; // each the other's opposite: they have met
      const other = ring[(place + step) % ring.length] as (typeof ring)[number];
      met[user]?.push(other.text);
      met[other.user]?.push(text);
    }
  return met;
}
