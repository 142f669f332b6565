import {
  appendInteractions,
  appendItems,
  appendUsers,
  createRng,
  type Dataset,
  type DuckDBConnection,
  type InteractionRow,
  type ItemRecord,
  options,
  plugin,
  type Rng,
} from "rlrf4rec";

export interface SyntheticOptions {
  readonly users: number;
  readonly items: number;
  readonly interactions: readonly [number, number];
  readonly genres: number;
  readonly genresPerItem: number;
  readonly noise: number;
  readonly seed: number;
}

@plugin({
  kind: "dataset",
  name: "synthetic",
  version: "1.0.0",
  summary: "Users with known tastes, so that the right answer is known: what they rate says nothing, how they rate it says all",
  source:
    "made for this framework: rating = 2.8 + 1.2 [a liked genre] + 0.8 [the liked period] - 1.5 [the disliked genre] + noise, rounded, 1 to 5",
  options: {
    type: "object",
    properties: {
      users: { type: "integer", minimum: 1, maximum: 10_000_000, default: 300, description: "Users" },
      items: { type: "integer", minimum: 1, maximum: 10_000_000, default: 400, description: "Items" },
      interactions: {
        type: "array",
        items: { type: "integer", minimum: 1 },
        minItems: 2,
        maxItems: 2,
        ascending: true,
        atMost: "items",
        default: [30, 60],
        description: "Interactions of a user, fewest and most",
      },
      genres: { type: "integer", minimum: 3, maximum: 12, default: 8, description: "Genres" },
      genresPerItem: { type: "integer", minimum: 1, maximum: 3, default: 2, atMost: "genres", description: "Genres of each item" },
      noise: { type: "number", minimum: 0, default: 0.3, unit: "stars", description: "Standard deviation of the noise of a rating" },
      seed: { type: "integer", minimum: 0, default: 1, description: "Seed of everything" },
    },
  },
})
export class Synthetic implements Dataset {
  readonly relevantAbove = 3;
  readonly ratingScale = { lowest: 1, highest: 5 };

  constructor(@options() private readonly options: SyntheticOptions) {}

  async load(connection: DuckDBConnection): Promise<Record<string, number>> {
    const items = itemsOf(this.options);
    const users = tastes(this.options);
    await appendItems(connection, items.map(recordOf));
    await appendUsers(
      connection,
      users.map(({ user }, number) => ({ id: user, fields: personOf(createRng("person", this.options.seed, number)) })),
    );
    await appendInteractions(connection, interactionsOf(this.options, users, items));
    return {};
  }
}

/** What a user's ratings follow; prompts never show it. */
export interface Taste {
  readonly user: string;
  /** One or two genres. */
  readonly liked: readonly string[];
  readonly disliked: string;
  readonly period: string;
}

const genreNames = [
  "Drama",
  "Comedy",
  "Action",
  "Romance",
  "Horror",
  "Western",
  "Musical",
  "Mystery",
  "War",
  "Fantasy",
  "Crime",
  "Documentary",
];
const periods = ["1950s", "1960s", "1970s", "1980s", "1990s"];

/**
 * The ground truth. Tastes are dealt in blocks of as many users as there are genres; within a block every genre is the first liked, the second
 * liked (or nobody has one) and the disliked one exactly once. An item's genres and period alone then say nothing about its ratings.
 */
export function tastes({ users, genres, seed }: Pick<SyntheticOptions, "users" | "genres" | "seed">): Taste[] {
  const rng = createRng("tastes", seed);
  const place = rng.derive("place").shuffle(Int32Array.from({ length: users }, (_, i) => i));
  const period = deck(users, periods.length, rng.derive("period"));
  const blocks = Array.from({ length: Math.ceil(users / genres) }, () =>
    rng.shuffle(Int32Array.from({ length: genres - 1 }, (_, distance) => distance + 1)),
  );
  return Array.from(place, (position, user) => {
    const block = Math.floor(position / genres);
    const [second = 0, third = 0] = blocks[block] as Int32Array;
    const genre = (distance: number) => genreNames[(position + distance) % genres] as string;
    return {
      user: `u${user + 1}`,
      liked: block % 2 === 0 ? [genre(0)] : [genre(0), genre(second)],
      disliked: genre(third),
      period: periods[period[user] as number] as string,
    };
  });
}

/** Values 0..kinds-1, each equally often, in random order. */
function deck(size: number, kinds: number, rng: Rng): Int32Array {
  return rng.shuffle(Int32Array.from({ length: size }, (_, i) => i % kinds));
}

interface Item {
  readonly id: string;
  readonly title: string;
  readonly genres: readonly string[];
  readonly year: number;
  readonly period: string;
}

const adjectives =
  "Silent Golden Broken Distant Hidden Last Burning Crooked Gentle Frozen Restless Scarlet Hollow Wandering Secret Empty".split(" ");
const nouns = "River Garden Tower Letter Harbour Mirror Winter Stranger Bridge Island Lantern Promise Orchard Station Voyage Shadow".split(
  " ",
);

function itemsOf({ items, genres, genresPerItem, seed }: SyntheticOptions): Item[] {
  const rng = createRng("items", seed);
  const period = deck(items, periods.length, rng.derive("period"));
  const genre = deck(items, genres, rng.derive("genre"));
  return Array.from({ length: items }, (_, number) => {
    const others = rng.shuffle(Int32Array.from({ length: genres - 1 }, (_, i) => ((genre[number] as number) + i + 1) % genres));
    const chosen = [genre[number] as number, ...others.subarray(0, genresPerItem - 1)];
    const decade = periods[period[number] as number] as string;
    return {
      id: `i${number + 1}`,
      title: `The ${adjectives[rng.below(adjectives.length)]} ${nouns[rng.below(nouns.length)]} ${number + 1}`,
      genres: chosen.map((index) => genreNames[index] as string),
      year: Number.parseInt(decade, 10) + rng.below(10),
      period: decade,
    };
  });
}

function recordOf({ id, title, genres, period, year }: Item): ItemRecord {
  return { id, title, fields: { genres, period, year } };
}

function personOf(rng: Rng): Record<string, unknown> {
  const occupations = ["engineer", "student", "teacher", "writer", "nurse"];
  return { age: 18 + rng.below(50), gender: rng.below(2) === 0 ? "F" : "M", occupation: occupations[rng.below(occupations.length)] };
}

/** Items are drawn uniformly, whatever the taste: neither an item's popularity nor a list's composition gives a rating away. */
function* interactionsOf(
  { interactions: [fewest, most], noise, seed }: SyntheticOptions,
  users: readonly Taste[],
  items: readonly Item[],
): Generator<InteractionRow> {
  const order = Int32Array.from(items.keys());
  // Of 25 million interactions each looks an item up: a few kilobytes of numbers stay in the processor's cache, the items do not.
  const genres = Int32Array.from(items, (item) => genreBits(item.genres));
  const period = Uint8Array.from(items, (item) => periods.indexOf(item.period));
  const ids = items.map(({ id }) => id);
  for (const [number, taste] of users.entries()) {
    const rng = createRng("interactions", seed, number);
    const count = fewest + rng.below(most - fewest + 1);
    const begin = 1_000_000_000 + rng.below(10_000_000);
    const [liked, disliked, own] = [genreBits(taste.liked), genreBits([taste.disliked]), periods.indexOf(taste.period)];
    for (let i = 0; i < count; i++) {
      const j = i + rng.below(order.length - i);
      const item = order[j] as number;
      order[j] = order[i] as number;
      order[i] = item;
      const of = genres[item] as number;
      const affinity = stars((of & liked) !== 0, period[item] === own, (of & disliked) !== 0);
      const rating = Math.round(affinity + noise * rng.normal());
      yield { user: taste.user, item: ids[item] as string, rating: Math.min(5, Math.max(1, rating)), time: begin + i * 3600 };
    }
  }
}

/** The rating, in stars, before noise and rounding. */
export function affinity(taste: Taste, item: { readonly genres: readonly string[]; readonly period: string }): number {
  const liked = taste.liked.some((genre) => item.genres.includes(genre));
  return stars(liked, item.period === taste.period, item.genres.includes(taste.disliked));
}

function stars(liked: boolean, period: boolean, disliked: boolean): number {
  return 2.8 + 1.2 * Number(liked) + 0.8 * Number(period) - 1.5 * Number(disliked);
}

/** A bit for each genre. */
function genreBits(genres: readonly string[]): number {
  return genres.reduce((bits, genre) => bits | (1 << genreNames.indexOf(genre)), 0);
}
