/** The browser of users: an index of all, their values under each arm, and what there is of each in chunks of neighbours. */
import { join } from "node:path";
import type { ScoreLine } from "../compare/read-run.js";
import { thinned } from "../method/thinned.js";
import { type Chunks, float32Text } from "./chunks.js";
import type { ItemsChunk, PairDetails, UserDetails, UsersIndex, UsersView } from "./page/data.js";
import type { Samples } from "./rewards.js";
import { namesIn, rowsOf } from "./rows.js";
import type { PolicyRows } from "./texts.js";

const perChunk = 100;
/** u2 before u10 */
const byId = new Intl.Collator("en", { numeric: true });

interface UserLine {
  readonly user: string;
  readonly part: string;
  readonly fold: number | null;
  readonly window: readonly (readonly [string, number])[];
  readonly later: readonly (readonly [string, number])[];
}
type PairLine = Omit<PairDetails, "iteration"> & { readonly user: string };

/** Plain numbers in few arrays: a run may have hundreds of thousands of these. */
interface RankedList {
  readonly candidates: readonly string[];
  readonly labels: readonly number[];
  /** By arm the sums of the candidates' ranks over seeds. [arms * candidates] */
  readonly sums: number[];
  /** By arm, over how many. */
  readonly seeds: number[];
}

/** Users of whom the run tells something besides scores: all of them, and those that are shown. */
export class KnownUsers {
  private constructor(
    readonly lines: ReadonlyMap<string, UserLine>,
    readonly pairs: ReadonlyMap<string, PairDetails[]>,
    readonly most: number,
    private readonly all: ReadonlySet<string>,
    private readonly chosen: ReadonlySet<string>,
  ) {}

  /** @param most users at most, thinned out evenly */
  static async of(folder: string, most: number): Promise<KnownUsers> {
    const lines = new Map<string, UserLine>();
    for await (const line of rowsOf<UserLine>(join(folder, "users.jsonl"), "users")) lines.set(line.user, line);
    const pairs = await readPairs(folder);
    const all = new Set([...lines.keys(), ...pairs.keys()]);
    return new KnownUsers(lines, pairs, most, all, new Set(thinned([...all].sort(byId.compare), most)));
  }

  /** A run of many users has told more of some: they are shown, and none besides. */
  mayBeShown(user: string): boolean {
    return this.chosen.has(user) || this.lines.size === 0;
  }

  /** @param tested users who have scores; @returns those that are shown, and how many are left out */
  shown(tested: readonly string[]): { readonly ids: readonly string[]; readonly leftOut: number } {
    const some = tested.filter((user) => this.mayBeShown(user));
    const ids = thinned([...new Set([...this.chosen, ...some])].sort(byId.compare), this.most);
    return { ids, leftOut: new Set([...this.all, ...tested]).size - ids.length };
  }
}

/** Ranks of every candidate under every arm, collected line by line, of users who may be shown. */
export class RankedUsers {
  readonly byUser = new Map<string, RankedList[]>();
  /** Arm -> its place in a list's sums. */
  private readonly places = new Map<string, number>();

  constructor(private readonly known: KnownUsers) {}

  add(arm: string, { user, candidates, labels, scores }: ScoreLine): void {
    if (!this.known.mayBeShown(user)) return;
    const lists = this.byUser.get(user) ?? [];
    this.byUser.set(user, lists);
    const list = lists.find((known) => sameOrder(known.candidates, candidates)) ??
      lists.find((known) => sameSet(known.candidates, candidates)) ?? { candidates, labels, sums: [], seeds: [] };
    if (!lists.includes(list)) lists.push(list);
    const place = this.places.get(arm) ?? this.places.size;
    this.places.set(arm, place);
    while (list.seeds.length <= place) {
      list.sums.push(...candidates.map(() => 0));
      list.seeds.push(0);
    }
    list.seeds[place] = (list.seeds[place] as number) + 1;
    const ranks = ranksOf(scores);
    for (const [slot, candidate] of list.candidates.entries()) {
      const from = candidates[slot] === candidate ? slot : candidates.indexOf(candidate);
      const at = place * candidates.length + slot;
      list.sums[at] = (list.sums[at] as number) + (ranks[from] as number);
    }
  }

  /** In hundredths, the mean over seeds; none where the arm has not scored the list. */
  meanRanks({ candidates, sums, seeds }: RankedList, arm: string): number[] {
    const place = this.places.get(arm) ?? -1;
    const count = seeds[place] ?? 0;
    if (count === 0) return [];
    return candidates.map((_, slot) => Math.round((100 * (sums[place * candidates.length + slot] as number)) / count));
  }
}

function sameOrder(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((candidate, i) => candidate === b[i]);
}
function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return sameOrder([...a].sort(), [...b].sort());
}

/** From 1, the best; tied scores share the mean of their ranks. */
export function ranksOf(scores: readonly number[]): Float64Array {
  return Float64Array.from(scores, (score) => {
    let above = 0;
    let tied = 0;
    for (const other of scores) {
      if (other > score) above++;
      else if (other === score) tied++;
    }
    return above + (tied + 1) / 2;
  });
}

/** Every arm's values of the tested users. */
export interface UserValues {
  /** User -> row. */
  readonly users: ReadonlyMap<string, number>;
  readonly arms: readonly string[];
  /** metric -> arm's values, [users] each */
  readonly byMetric: ReadonlyMap<string, readonly Float64Array[]>;
}

interface Sources {
  readonly known: KnownUsers;
  readonly ranked: RankedUsers;
  readonly values: UserValues;
  readonly policies: readonly PolicyRows[];
  readonly samples: Samples["byUser"];
}

export async function usersView(folder: string, chunks: Chunks, { known, ranked, values, policies, samples }: Sources): Promise<UsersView> {
  const { lines, pairs } = known;
  const { ids, leftOut } = known.shown([...values.users.keys()]);
  const arms = values.arms;
  const items = new Items();
  const details: number[] = [];
  for (let from = 0; from < ids.length; from += perChunk) {
    const rows = ids.slice(from, from + perChunk).map((user): UserDetails => {
      const line = lines.get(user);
      return {
        window: (line?.window ?? []).map(([item, rating]) => [items.number(item), rating] as const),
        later: (line?.later ?? []).map(([item, rating]) => [items.number(item), rating] as const),
        lists: (ranked.byUser.get(user) ?? []).map((list) => ({
          items: list.candidates.map((item) => items.number(item)),
          labels: list.labels,
          ranks: arms.map((arm) => ranked.meanRanks(list, arm)),
        })),
        texts: policies.map(({ byUser }) => byUser.get(user) ?? null),
        pairs: pairs.get(user) ?? [],
        samples: samples.get(user) ?? [],
      };
    });
    details.push(await chunks.add(rows));
  }
  const index: UsersIndex = {
    ids,
    parts: ids.map((user) => lines.get(user)?.part ?? (ranked.byUser.has(user) ? "test" : "align")),
    has: ids.map((user) => Number(ranked.byUser.has(user)) + 2 * Number(pairs.has(user))),
  };
  const packed: Record<string, number> = {};
  for (const [metric, columns] of values.byMetric) packed[metric] = await chunks.add(float32Text(valuesOf(ids, values, columns)));
  return {
    count: ids.length,
    leftOut,
    perChunk,
    index: await chunks.add(index),
    items: await chunks.add(await items.named(folder)),
    values: packed,
    details,
    arms,
    policies: policies.map(({ policy }) => policy),
  };
}

/** [arms, users] */
function valuesOf(ids: readonly string[], { users }: UserValues, columns: readonly Float64Array[]): Float32Array {
  const values = new Float32Array(columns.length * ids.length).fill(Number.NaN);
  for (const [at, user] of ids.entries()) {
    const row = users.get(user);
    if (row !== undefined) for (const [arm, column] of columns.entries()) values[arm * ids.length + at] = column[row] as number;
  }
  return values;
}

async function readPairs(folder: string): Promise<ReadonlyMap<string, PairDetails[]>> {
  const pairs = new Map<string, PairDetails[]>();
  for (const name of await namesIn(folder, "pairs"))
    for await (const { user, ...pair } of rowsOf<PairLine>(join(folder, "pairs", `${name}.jsonl`), "pairs")) {
      const own = pairs.get(user) ?? [];
      pairs.set(user, own);
      own.push({ iteration: Number(name), ...pair });
    }
  return pairs;
}

/** Items by a number of their own, so that an id stands in the file once. */
class Items {
  private readonly numbers = new Map<string, number>();

  number(item: string): number {
    const known = this.numbers.get(item) ?? this.numbers.size;
    this.numbers.set(item, known);
    return known;
  }

  /** An item without a title is called by its id. */
  async named(folder: string): Promise<ItemsChunk> {
    const ids = [...this.numbers.keys()];
    const titles = [...ids];
    for await (const { item, title } of rowsOf<{ item: string; title: string }>(join(folder, "items.jsonl"), "items")) {
      const number = this.numbers.get(item);
      if (number !== undefined && title !== "") titles[number] = title;
    }
    return { ids, titles };
  }
}
