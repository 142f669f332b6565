import assert from "node:assert/strict";
import type { PreparedData } from "../../../framework/contracts/dataset.js";
import { digestOf, prepare } from "../../../framework/data/prepare.js";
import { groupMeans, mean } from "../../../framework/metrics/aggregate.js";
import { ndcg } from "../../../framework/metrics/ranking.js";
import { affinity, Synthetic, type SyntheticOptions, tastes } from "../../../plugins/datasets/synthetic.js";
import { protocolOf } from "../../support/dataset.js";

const options: SyntheticOptions = { users: 400, items: 400, interactions: [30, 60], genres: 8, genresPerItem: 2, noise: 0.3, seed: 1 };
const protocol = protocolOf({ window: 15, listLength: 10, positives: 8 });
const prepareWith = (change: Partial<SyntheticOptions> = {}) => prepare(new Synthetic({ ...options, ...change }), protocol, { folds: 2 });

interface Fields {
  readonly genres: readonly string[];
  readonly period: string;
}
const fieldsOf = (data: PreparedData, item: number) => data.items[item]?.fields as unknown as Fields;

describe("dataset/synthetic", () => {
  let data: PreparedData;
  before(async () => {
    data = await prepareWith();
  });
  const truth = new Map(tastes(options).map((taste) => [taste.user, taste]));

  it("has the users, items and interactions asked for, readable and with fields", () => {
    assert.equal(data.users.length, 400);
    assert.equal(data.items.length, 401);
    const lengths = Array.from(
      data.users.keys(),
      (user) => (data.sequence.offsets[user + 1] as number) - (data.sequence.offsets[user] as number),
    );
    assert.ok(Math.min(...lengths) >= 30 && Math.max(...lengths) <= 60);
    assert.equal(data.counts.repeats, 0);
    for (const { title, fields } of data.items.slice(1)) {
      assert.match(title, /^The [A-Z][a-z]+ [A-Z][a-z]+ \d+$/);
      const { genres, period, year } = fields as unknown as Fields & { year: number };
      assert.equal(new Set(genres).size, 2);
      assert.equal(period, `${Math.floor(year / 10) * 10}s`);
    }
    for (const { fields } of data.users) assert.deepEqual(Object.keys(fields), ["age", "gender", "occupation"]);
  });

  it("deals tastes evenly: every genre and period is liked and disliked equally often", () => {
    const count = (values: readonly string[]) => {
      const counts: Record<string, number> = {};
      for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
      return counts;
    };
    const all = [...truth.values()];
    const spread = (counts: Record<string, number>) => Math.max(...Object.values(counts)) - Math.min(...Object.values(counts));
    assert.equal(spread(count(all.map(({ disliked }) => disliked))), 0);
    assert.equal(spread(count(all.flatMap(({ liked }) => liked))), 0);
    assert.equal(spread(count(all.map(({ period }) => period))), 0);
    for (const { liked, disliked } of all)
      assert.ok(liked.length >= 1 && liked.length <= 2 && !liked.includes(disliked) && new Set(liked).size === liked.length);
  });

  it("gives ratings that follow the taste, by the formula where there is no noise", async () => {
    const silent = await prepareWith({ noise: 0, users: 50 });
    const known = new Map(tastes({ ...options, users: 50 }).map((taste) => [taste.user, taste]));
    for (const [user, { id }] of silent.users.entries())
      for (let position = silent.sequence.offsets[user] as number; position < (silent.sequence.offsets[user + 1] as number); position++) {
        const taste = known.get(id);
        assert.ok(taste);
        const expected = Math.min(5, Math.max(1, Math.round(affinity(taste, fieldsOf(silent, silent.sequence.items[position] as number)))));
        assert.equal(silent.sequence.ratings[position], expected);
      }
  });

  it("says nothing through popularity, genre or period alone, and much through the taste", () => {
    const { lists } = data;
    const value = (score: (user: string, item: number) => number) => {
      const scores = Float32Array.from(lists.candidates, (item, slot) =>
        score(data.users[lists.user[Math.floor(slot / lists.length)] as number]?.id as string, item),
      );
      return mean(groupMeans(ndcg(scores, lists.labels, lists.length, 5, "expected"), lists.user, data.users.length));
    };
    const popularity = new Float64Array(data.items.length);
    const liked = new Map<string, [number, number]>();
    for (const [position, item] of data.sequence.items.entries()) {
      popularity[item] = (popularity[item] as number) + 1;
      for (const field of [...fieldsOf(data, item).genres, fieldsOf(data, item).period]) {
        const [sum, count] = liked.get(field) ?? [0, 0];
        liked.set(field, [sum + (data.sequence.relevant[position] as number), count + 1]);
      }
    }
    const share = (field: string) => (liked.get(field) as [number, number])[0] / (liked.get(field) as [number, number])[1];
    const blind = value(() => 0);
    const byPopularity = value((_, item) => popularity[item] as number);
    // Even knowing every rating of the whole data: each genre's and period's share of relevant ratings.
    const byFields = value((_, item) =>
      [...fieldsOf(data, item).genres, fieldsOf(data, item).period].reduce((sum, field) => sum + share(field), 0),
    );
    const byTaste = value((user, item) => affinity(truth.get(user) as Parameters<typeof affinity>[0], fieldsOf(data, item)));
    assert.ok(Math.abs(byPopularity - blind) < 0.02, `popularity ${byPopularity}, blind ${blind}`);
    assert.ok(byFields - blind < 0.025, `fields ${byFields}, blind ${blind}`);
    assert.ok(byTaste > blind + 0.3, `taste ${byTaste}, blind ${blind}`);
  });

  it("reveals the taste in the window: the genre rated best in it is a liked one", () => {
    let right = 0;
    for (const [user, { id }] of data.users.entries()) {
      const begin = data.sequence.offsets[user] as number;
      const ratings = new Map<string, number[]>();
      for (let position = begin; position < begin + (data.windows[user] as number); position++)
        for (const genre of fieldsOf(data, data.sequence.items[position] as number).genres)
          ratings.set(genre, [...(ratings.get(genre) ?? []), data.sequence.ratings[position] as number]);
      const [[best] = [""]] = [...ratings].sort(([, a], [, b]) => mean(b) - mean(a));
      if (truth.get(id)?.liked.includes(best)) right++;
    }
    assert.ok(right / data.users.length > 0.75, `${right} of ${data.users.length}`);
  });

  it("depends on its seed alone", async () => {
    assert.equal(digestOf(await prepareWith()), digestOf(data));
    assert.notEqual(digestOf(await prepareWith({ seed: 2 })), digestOf(data));
  });
});
