/** The N samples before and after each iteration: how their rewards are distributed, and user by user. */
import { join } from "node:path";
import { mean } from "../metrics/aggregate.js";
import { thinned } from "../method/thinned.js";
import type { RewardView, SampleDetails } from "./page/data.js";
import { namesIn, rowsOf } from "./rows.js";

interface SampleLine {
  readonly user: string;
  readonly users: RewardView["users"];
  readonly when: RewardView["when"];
  readonly policy: string;
  readonly rewards: readonly (number | null)[];
  readonly tokens: readonly number[];
  readonly texts?: readonly string[];
}
type SampledSet = Pick<SampleLine, "users" | "when" | "policy"> & { readonly iteration: number; readonly byUser: number[][] };

const binCount = 40;

/** Users whose sampled texts are shown, thinned out evenly: ten texts a user and set are most of a large file. */
const shownUsers = 1_000;

export interface Samples {
  readonly views: readonly RewardView[];
  readonly byUser: ReadonlyMap<string, readonly SampleDetails[]>;
}

export async function readSamples(folder: string): Promise<Samples> {
  const sets = new Map<string, SampledSet>();
  const byUser = new Map<string, SampleDetails[]>();
  for (const name of await namesIn(folder, "samples"))
    for await (const line of rowsOf<SampleLine>(join(folder, "samples", `${name}.jsonl`), "samples")) {
      const { users, when, policy } = line;
      const key = JSON.stringify([name, users, when, policy]);
      const set = sets.get(key) ?? { iteration: Number(name), users, when, policy, byUser: [] };
      sets.set(key, set);
      const known = line.rewards.filter((reward) => reward !== null);
      if (known.length > 0) set.byUser.push(known.sort((a, b) => b - a));
      if (line.texts !== undefined) byUser.set(line.user, [...(byUser.get(line.user) ?? []), detailsOf(line, Number(name))]);
    }
  const told = [...sets.values()].filter((set) => set.byUser.length > 0);
  const range = rangeOf(told);
  return { views: told.map((set) => viewOf(set, range)), byUser: new Map(thinned([...byUser], shownUsers)) };
}

/** The best first. */
function detailsOf({ users, when, policy, rewards, tokens, texts = [] }: SampleLine, iteration: number): SampleDetails {
  const order = texts.map((_, i) => i).sort((a, b) => (rewards[b] ?? 0) - (rewards[a] ?? 0) || a - b);
  return {
    ...{ iteration, users, when, policy },
    texts: order.map((i) => ({ text: texts[i] as string, reward: rewards[i] ?? null, tokens: tokens[i] ?? 0 })),
  };
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
