/** The rewards made of rankings: by hand; the nested ones against what they nest. */
import assert from "node:assert/strict";
import type { Reward, RewardBatch } from "../../../framework/contracts/feedback.js";
import type { PluginClass } from "../../../framework/contracts/plugin.js";
import { loadPlugin } from "../../../framework/kernel/load.js";
import { Registry } from "../../../framework/kernel/registry.js";
import { withPlugin } from "../../../framework/testing/index.js";
import { close } from "../../support/tensors.js";

interface List {
  readonly text: number;
  readonly scores: readonly number[];
  readonly labels: readonly number[];
  readonly neutral?: readonly number[];
}

function batch(lists: readonly List[], structure: readonly number[] = [1, 1, 1]): RewardBatch {
  const neutral = lists.flatMap((list) => list.neutral ?? []);
  return {
    texts: structure.map((structureRate, user) => ({ user, text: `text ${user}`, structureRate })),
    lists: {
      text: Int32Array.from(lists, (list) => list.text),
      length: lists[0]?.scores.length ?? 0,
      scores: Float32Array.from(lists.flatMap((list) => list.scores)),
      labels: Uint8Array.from(lists.flatMap((list) => list.labels)),
      ...(neutral.length > 0 && { neutral: Float32Array.from(neutral) }),
    },
    ties: "expected",
  };
}

/** The same as another user's. */
function ofUser(user: number, { texts, ...rest }: RewardBatch): RewardBatch {
  return { ...rest, texts: texts.map((text) => ({ ...text, user })) };
}

describe("rewards", () => {
  const plugins = new Map<string, PluginClass<Reward>>();
  before(async () => {
    for (const entry of (await Registry.read()).list("reward")) plugins.set(entry.name, (await loadPlugin(entry)) as PluginClass<Reward>);
  });
  const of = (name: string, options: object, given: RewardBatch): Promise<number[]> => {
    const plugin = plugins.get(name);
    assert.ok(plugin, `reward/${name} is registered`);
    return withPlugin({ plugin, options: { ...options }, plugins: [...plugins.values()] }, async (reward) => [
      ...(await reward.reward(given)),
    ]);
  };
  const lists: List[] = [
    { text: 0, scores: [4, 3, 2, 1], labels: [0, 1, 0, 1], neutral: [1, 2, 3, 4] },
    { text: 0, scores: [4, 3, 2, 1], labels: [1, 0, 0, 0], neutral: [4, 3, 2, 1] },
    { text: 1, scores: [1, 2, 3, 4], labels: [1, 0, 0, 0], neutral: [4, 3, 2, 1] },
    { text: 2, scores: [1, 2, 3, 4], labels: [0, 0, 0, 0], neutral: [4, 3, 2, 1] },
  ];

  it("map: precisions at the hits, divided by min(k, relevant items)", async () => {
    close((await of("map", { at: 4 }, batch(lists))).slice(0, 2), [((1 / 2 + 2 / 4) / 2 + 1) / 2, 1 / 4], 1e-9);
    close((await of("map", { at: 3 }, batch(lists))).slice(0, 2), [(1 / 2 / 2 + 1) / 2, 0], 1e-9);
  });

  it("mrr: of the first hit, 0 beyond k", async () => {
    close((await of("mrr", { at: 4 }, batch(lists))).slice(0, 2), [(1 / 2 + 1) / 2, 1 / 4], 1e-9);
    close((await of("mrr", { at: 3 }, batch(lists))).slice(0, 2), [3 / 4, 0], 1e-9);
  });

  it("log-likelihood: of the relevant items under the list's softmax", async () => {
    const softmax = (at: number, temperature = 1) => at / temperature - Math.log([1, 2, 3, 4].reduce((sum, score) => sum + Math.exp(score / temperature), 0)); // biome-ignore format: one line
    const values = await of("log-likelihood", {}, batch(lists));
    close(values.slice(0, 2), [((softmax(3) + softmax(1)) / 2 + softmax(4)) / 2, softmax(1)], 1e-6);
    assert.ok(Number.isNaN(values[2]));
    close((await of("log-likelihood", { temperature: 2 }, batch(lists))).slice(1, 2), [softmax(1, 2)], 1e-6);
    const far = { text: 0, scores: [1e4, -1e4, 0, 0], labels: [0, 1, 0, 0] };
    close((await of("log-likelihood", {}, batch([far]))).slice(0, 1), [-2e4], 1e-3); // stays finite
  });

  it("lift: minus the same with the neutral text", async () => {
    const [with_, without] = [
      await of("mrr", { at: 4 }, batch(lists)),
      await of("mrr", { at: 4 }, batch(lists.map((list) => ({ ...list, scores: list.neutral ?? [] })))),
    ];
    const lift = await of("lift", { reward: { plugin: "mrr", options: { at: 4 } } }, batch(lists));
    close(lift.slice(0, 2), [0, 1].map((i) => (with_[i] as number) - (without[i] as number)), 1e-9); // biome-ignore format: one line
    assert.ok((lift[1] as number) < 0 && Number.isNaN(lift[2]));
    assert.deepEqual((await of("lift", {}, batch(lists))).slice(2), [Number.NaN]); // of NDCG, where nothing is said
  });

  it("contrast: minus the mean of the same text's at others, as many as are asked for", async () => {
    const mrr = { reward: { plugin: "mrr", options: { at: 4 } } };
    /** The three texts at a user: a relevant item at the places 1 to 4 of its only list. */
    const at = (user: number, places: readonly number[]): RewardBatch => {
      const theirs = places.map((place, text) => ({ text, scores: [4, 3, 2, 1], labels: [1, 2, 3, 4].map((at) => Number(at === place)) }));
      return ofUser(user, batch(theirs));
    };
    const others = [at(7, [1, 2, 4]), at(0, [4, 4, 4]), at(8, [2, 1, 1])]; // user 0 is the first text's own
    const given = { ...batch(lists), others };
    const own = await of("mrr", { at: 4 }, batch(lists)); // 3/4, 1/4, NaN
    const values = await of("contrast", mrr, given);
    close(values.slice(0, 2), [3 / 4 - (1 + 1 / 2) / 2, 1 / 4 - (1 / 2 + 1 / 4 + 1) / 3], 1e-9);
    assert.ok(Number.isNaN(values[2]), "no list of the text's own user has a relevant item");
    close((await of("contrast", { ...mrr, users: 1 }, given)).slice(0, 2), [(own[0] as number) - 1, (own[1] as number) - 1 / 2], 1e-9);
    const alone = await of("contrast", { ...mrr, users: 2 }, { ...given, others: [at(0, [1, 1, 1])] });
    assert.ok(Number.isNaN(alone[0]), "nobody else to compare with");
    close([alone[1] as number], [1 / 4 - 1], 1e-9);
  });

  it("lift and contrast: the same either way round", async () => {
    const at = (user: number, scores: readonly number[]) =>
      ofUser(user, batch([0, 1, 2].map((text) => ({ text, scores, labels: [0, 1, 0, 0], neutral: [1, 4, 2, 3] }))));
    const given = { ...batch(lists), others: [at(7, [1, 2, 3, 4]), at(8, [4, 3, 2, 1])] };
    const nested = (...names: string[]): object =>
      names.reduceRight<object>((reward, plugin) => ({ plugin, options: { reward } }), { plugin: "mrr", options: { at: 4 } });
    const [a, b] = [await of("contrast", { reward: nested("lift") }, given), await of("lift", { reward: nested("contrast") }, given)];
    const [lifted] = await of("lift", { reward: nested() }, batch(lists));
    close(a.slice(0, 2), b.slice(0, 2), 1e-9);
    close([a[0] as number], [(lifted as number) - (1 / 3 - 1 + (1 / 2 - 1)) / 2], 1e-9);
  });

  it("structure: the share of aspects answered, whatever the ranking", async () => {
    assert.deepEqual(await of("structure", {}, batch([], [1, 0.5, 0])), [1, 0.5, 0]);
  });

  it("weighted: each standardised over what the recommender has learnt to hear", async () => {
    const calibration = batch(
      [
        { text: 0, scores: [2, 1], labels: [1, 0] },
        { text: 1, scores: [2, 1], labels: [0, 1] },
        { text: 2, scores: [2, 1], labels: [0, 0] },
      ],
      [1, 0.5, 0.5],
    ); // mrr 1, 1/2: mean 0.75, deviation 0.25; structure: mean 2/3, deviation 0.2357023
    const rewards = [{ reward: { plugin: "mrr", options: { at: 4 } } }, { reward: { plugin: "structure" }, weight: 0.5 }];
    const given = { ...batch(lists, [1, 0.5, 0]), calibration };
    const deviation = Math.sqrt(((1 / 3) ** 2 + 2 * (1 / 6) ** 2) / 3);
    const expected = [(0.75 - 0.75) / 0.25 + (0.5 * (1 - 2 / 3)) / deviation, (0.25 - 0.75) / 0.25 + (0.5 * (0.5 - 2 / 3)) / deviation];
    const values = await of("weighted", { rewards }, given);
    close(values.slice(0, 2), expected, 1e-9);
    assert.ok(Number.isNaN(values[2]));
    close((await of("weighted", { rewards, standardise: false }, given)).slice(0, 2), [0.75 + 0.5, 0.25 + 0.25], 1e-9);
    const constant = await of(
      "weighted",
      { rewards: [{ reward: { plugin: "structure" } }] },
      { ...given, calibration: batch([], [1, 1, 1]) },
    );
    assert.deepEqual(constant, [0, -1, -2]); // no deviation to divide by: its spread of a half
  });

  it("nested rewards need what those within need", () =>
    withPlugin(
      {
        plugin: plugins.get("weighted") as PluginClass<Reward>,
        options: { rewards: [{ reward: { plugin: "lift" } }, { reward: { plugin: "structure" } }] },
        plugins: [...plugins.values()],
      },
      ({ needs, reads }) => {
        assert.deepEqual([...needs].sort(), ["calibration", "neutral"]);
        assert.equal(reads, undefined);
      },
    ));
});
