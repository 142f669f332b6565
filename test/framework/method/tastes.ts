/** Users who like one genre and dislike another, and lists in which that decides: whoever hears the right text ranks well. */
import type { PreparedData, Round } from "../../../framework/contracts/dataset.js";
import type { Knowledge } from "../../../framework/method/recommender.js";
import { createRng } from "../../../framework/rng.js";

const [users, items, genres, listsEach, length, width] = [90, 60, 5, 6, 6, 8];
const sequenceLength = 12;

export interface Tastes {
  readonly data: PreparedData;
  readonly knowledge: Knowledge;
  readonly round: Round;
}

export function tastes(): Tastes {
  const rng = createRng("tastes");
  const genreOf = (item: number) => item % genres;
  const liked = Int32Array.from({ length: users }, () => rng.below(genres));
  const disliked = liked.map((genre) => (genre + 1 + rng.below(genres - 1)) % genres);
  const vectors = Array.from({ length: genres }, () => Array.from({ length: width }, () => rng.normal()));
  const said = (genre: number) => (vectors[genre] as number[]).map((value) => value + 0.1 * rng.normal());
  const silence = new Array<number>(width).fill(0);
  const count = users * listsEach;
  const user = Int32Array.from({ length: count }, (_, list) => Math.floor(list / listsEach));
  const candidates = Int32Array.from({ length: count * length }, () => 1 + rng.below(items));
  const labels = Uint8Array.from(candidates, (item, at) => {
    const who = user[Math.floor(at / length)] as number;
    return Number(genreOf(item) === liked[who] || (genreOf(item) !== disliked[who] && rng.uniform() < 0.1));
  });
  const offsets = Int32Array.from({ length: users + 1 }, (_, i) => i * sequenceLength);
  return {
    data: {
      users: Array.from({ length: users }, (_, i) => ({ id: `u${i}`, fields: {} })),
      items: Array.from({ length: items + 1 }, (_, i) => ({ id: `i${i}`, title: "", fields: {} })),
      ratingScale: { lowest: 1, highest: 5 },
      sequence: {
        offsets,
        items: Int32Array.from({ length: users * sequenceLength }, () => 1 + rng.below(items)),
        ratings: new Float32Array(users * sequenceLength).fill(4),
        relevant: new Uint8Array(users * sequenceLength).fill(1),
      },
      windows: new Int32Array(users).fill(3),
      lists: { count, length, user, start: user.map((who) => who * sequenceLength + 3), candidates, labels },
      parts: { evaluate: [], align: new Int32Array(), reward: [], labels: [] },
      counts: {},
    },
    knowledge: {
      users: {
        aspects: 2,
        width,
        rows: span(1, 2 * users + 1), // nobody answers alike
        table: Float32Array.from([silence, ...[...liked].flatMap((genre, who) => [said(genre), said(disliked[who] as number)])].flat()),
      },
      items: Float32Array.from(Array.from({ length: items + 1 }, (_, item) => (item === 0 ? silence : said(genreOf(item)))).flat()),
    },
    round: { train: span(0, 60), valid: span(60, 70), test: span(70, users) },
  };
}

export function span(from: number, to: number): Int32Array {
  return Int32Array.from({ length: to - from }, (_, i) => from + i);
}
