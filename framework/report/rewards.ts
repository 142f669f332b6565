/** How the rewards of the N samples are distributed, before and after each iteration. */
import { join } from "node:path";
import { mean } from "../metrics/aggregate.js";
import type { RewardView } from "./page/data.js";
import { namesIn, rowsOf } from "./rows.js";

interface SampleLine {
  readonly user: string;
  readonly users: RewardView["users"];
  readonly when: RewardView["when"];
  readonly policy: string;
  readonly rewards: readonly (number | null)[];
}
type SampledSet = Omit<SampleLine, "user" | "rewards"> & { readonly iteration: number; readonly byUser: number[][] };

const binCount = 40;

export async function rewardViews(folder: string): Promise<RewardView[]> {
  const sets = new Map<string, SampledSet>();
  for (const name of await namesIn(folder, "samples"))
    for await (const { users, when, policy, rewards } of rowsOf<SampleLine>(join(folder, "samples", `${name}.jsonl`), "samples")) {
      const key = JSON.stringify([name, users, when, policy]);
      const set = sets.get(key) ?? { iteration: Number(name), users, when, policy, byUser: [] };
      sets.set(key, set);
      const known = rewards.filter((reward) => reward !== null);
      if (known.length > 0) set.byUser.push(known.sort((a, b) => b - a));
    }
  const told = [...sets.values()].filter(({ byUser }) => byUser.length > 0);
  const range = rangeOf(told);
  return told.map((set) => viewOf(set, range));
}

function rangeOf(sets: readonly SampledSet[]): readonly [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const { byUser } of sets)
    for (const rewards of byUser) {
      low = Math.min(low, rewards.at(-1) ?? low);
      high = Math.max(high, rewards[0] ?? high);
    }
  return high > low ? [low, high] : [low - 0.5, low + 0.5];
}

function viewOf({ byUser, ...set }: SampledSet, range: readonly [number, number]): RewardView {
  const all = Float64Array.from(byUser.flat()).sort();
  const bins = new Array<number>(binCount).fill(0);
  for (const reward of all) {
    const bin = Math.min(binCount - 1, Math.floor(((reward - range[0]) / (range[1] - range[0])) * binCount));
    bins[bin] = (bins[bin] as number) + 1 / all.length;
  }
  const at = (share: number) => all[Math.round(share * (all.length - 1))] as number;
  const samples = byUser.reduce((most, rewards) => Math.max(most, rewards.length), 0);
  const ordered = Array.from({ length: samples }, (_, k) => mean(byUser.flatMap((rewards) => rewards.slice(k, k + 1))));
  return { ...set, count: all.length, mean: mean(byUser.map(mean)), quantiles: [at(0.25), at(0.5), at(0.75)], bins, range, ordered };
}
