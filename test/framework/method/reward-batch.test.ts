/** What a reward head is given: which texts it measures, for whom, and parts of a batch. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Reward, RewardBatch } from "../../../framework/contracts/feedback.js";
import { partOfBatch } from "../../../framework/feedback/part-of-batch.js";
import { type AnswerVectors, silentTexts, textsAt } from "../../../framework/method/answer-vectors.js";
import { fitEncoder, Recommender } from "../../../framework/method/recommender.js";
import { RecommenderNetwork } from "../../../framework/method/recommender-network.js";
import { type RewardListener, RewardBatches } from "../../../framework/method/reward-batch.js";
import type { UserText } from "../../../framework/method/structure.js";
import type { Study } from "../../../framework/method/study.js";
import { createRng } from "../../../framework/rng.js";
import { HybridExperts } from "../../../plugins/adaptors/hea.js";
import { NoEncoder } from "../../../plugins/encoders/none.js";
import { Prm } from "../../../plugins/rerankers/prm.js";
import { defaultsOf } from "../../bench/workload.js";
import { assertNoLeak, useEngine } from "../../support/engine.js";
import { silent } from "../../support/fixtures.js";
import { tastes } from "./tastes.js";

/** Lists of text 0, 1, 1 and 2, the numbers of each following from its place. */
const batch: RewardBatch = {
  texts: ["a", "b", "c"].map((text, user) => ({ user, text, structureRate: 1 })),
  lists: {
    text: Int32Array.of(0, 1, 1, 2),
    length: 2,
    scores: Float32Array.of(0, 1, 10, 11, 20, 21, 30, 31),
    labels: Uint8Array.of(1, 0, 0, 1, 1, 1, 0, 0),
    neutral: Float32Array.of(0, -1, -10, -11, -20, -21, -30, -31),
  },
  ties: "expected",
  unmeasured: Uint8Array.of(0, 1, 0),
  vectors: { width: 2, values: Float32Array.of(1, 2, 3, 4, 5, 6) },
  states: { width: 0, values: new Float32Array() },
  prompts: ["u", "v", "w"].map((user) => ({ user, messages: [] })),
};

describe("a part of a reward batch", () => {
  it("has the texts asked for, in that order, with what is theirs", () => {
    const { texts, lists, vectors, states, prompts, ties, unmeasured } = partOfBatch(batch, [2, 1]);
    assert.deepEqual(texts.map(({ text }) => text), ["c", "b"]); // biome-ignore format: one line
    assert.deepEqual(lists, {
      text: Int32Array.of(1, 1, 0),
      length: 2,
      scores: Float32Array.of(10, 11, 20, 21, 30, 31),
      labels: Uint8Array.of(0, 1, 1, 1, 0, 0),
      neutral: Float32Array.of(-10, -11, -20, -21, -30, -31),
    });
    assert.deepEqual(vectors, { width: 2, values: Float32Array.of(5, 6, 3, 4) });
    assert.deepEqual(states, { width: 0, values: new Float32Array() });
    assert.deepEqual(prompts?.map(({ user }) => user), ["w", "v"]); // biome-ignore format: one line
    assert.equal(ties, "expected");
    assert.equal(unmeasured, undefined);
  });

  it("put back in order is the whole again", () =>
    fc.assert(
      fc.property(fc.shuffledSubarray([0, 1, 2], { minLength: 3 }), (order) => {
        const { unmeasured: _, ...whole } = batch;
        const back = order.map((_, text) => order.indexOf(text));
        assert.deepEqual(partOfBatch(partOfBatch(batch, order), back), whole);
      }),
    ));
});

const { data, knowledge, round } = tastes();
/** The last ten users have no relevant item. */
const labels = data.lists.labels.map((label, at) => ((data.lists.user[Math.floor(at / data.lists.length)] as number) < 80 ? label : 0));
const study = {
  data: { ...data, lists: { ...data.lists, labels } },
  spec: { protocol: { seed: 1, ties: "expected" } },
  context: { progress: silent.progress },
} as unknown as Study;
const texts = data.users.map((_, user): UserText => ({ user, text: `${user}`, parsed: { structureRate: 1 } as UserText["parsed"] }));

describe("a reward that compares with others", () => {
  it("is given the same texts for one other user after another whom the model may score, each scored when it is asked for", async () => {
    const scored: Int32Array[] = [];
    const recommender = {
      adapt: () => null,
      score: async (lists: Int32Array) => {
        scored.push(lists);
        return new Float32Array(lists.length * data.lists.length).fill(scored.length);
      },
    };
    const listener = { recommender, round: { test: Int32Array.of(3, 5, 8, 85) } } as unknown as RewardListener;
    const reward: Reward = { needs: ["others"], reward: () => new Float64Array() };
    const own = await new RewardBatches(study, reward).of(listener, texts, knowledge.users, [3, 5]);
    assert.equal(scored.length, 1, "nobody asked for others yet");
    const read = async (batch: RewardBatch) => {
      const users: number[] = [];
      for await (const other of batch.others ?? []) {
        assert.deepEqual(other.texts.map(({ text }) => text), batch.texts.map(({ text }) => text)); // biome-ignore format: one line
        const [user, more] = [...new Set(other.texts.map(({ user }) => user))];
        assert.equal(more, undefined);
        users.push(user as number);
        const lists = [...(scored.at(-1) as Int32Array)];
        assert.ok(lists.length > 0 && lists.every((list) => data.lists.user[list] === user));
        assert.equal(other.lists.labels.length, (lists.length / own.texts.length) * other.texts.length * data.lists.length);
        assert.equal(other.lists.scores[0], scored.length);
        if (users.length === 2) break;
      }
      return users;
    };
    const users = await read(own);
    assert.equal(scored.length, 3, "the third was not asked for");
    assert.ok(new Set(users).size === 2 && users.every((user) => [3, 5, 8].includes(user)), `${users}: 85 has no relevant item`);
    assert.deepEqual(await read(own), users, "the same again");
    assert.deepEqual(await read(partOfBatch(own, [1])), users);
  });
});

describe("the rankings of others", () => {
  useEngine();

  it("hear texts that are adapted once, silence too, and are those that each call would adapt for itself", () =>
    assertNoLeak(async () => {
      const encoder = await fitEncoder({ data, round, encoder: new NoEncoder(), history: 5, seed: 1 });
      const parts = { data, encoder, adaptor: new HybridExperts(defaultsOf(HybridExperts)), reranker: new Prm(defaultsOf(Prm)), knowledge };
      const network = new RecommenderNetwork(parts, createRng("others"));
      const recommender = new Recommender(network, parts);
      const [adapted, scored]: [AnswerVectors[], Parameters<Recommender["score"]>[]] = [[], []];
      const listening = {
        adapt: (heard: AnswerVectors) => {
          adapted.push(heard);
          return recommender.adapt(heard);
        },
        score: (...asked: Parameters<Recommender["score"]>) => {
          scored.push(asked);
          return recommender.score(...asked);
        },
      };
      const reward: Reward = { needs: ["others", "neutral"], reward: () => new Float64Array() };
      const listener = { recommender: listening, round } as unknown as RewardListener;
      const { others = [] } = await new RewardBatches(study, reward).of(listener, texts, knowledge.users, [70, 71, 75]);
      scored.length = 0;
      let users = 0;
      for await (const { lists } of others) {
        const [[own, , textOf], [, , silent]] = scored.splice(0) as [Parameters<Recommender["score"]>, Parameters<Recommender["score"]>];
        assert.deepEqual(lists.scores, await recommender.score(own, textsAt(knowledge.users, [70, 71, 75]), textOf));
        assert.deepEqual(lists.neutral, await recommender.score(own, silentTexts(1, knowledge.users), silent));
        if (++users === 3) break;
      }
      assert.equal(adapted.length, 2);
      recommender.dispose();
      encoder.dispose();
    }));

  it("are none where there are no texts", async () => {
    const listener = { round } as unknown as RewardListener;
    const reward: Reward = { needs: ["others"], reward: () => new Float64Array() };
    const { others = [] } = await new RewardBatches(study, reward).of(listener, texts, knowledge.users, []);
    for await (const other of others) assert.fail(`of user ${other.texts[0]?.user}`);
  });
});

describe("a reward that measures a share", () => {
  const measuredOf = async (reads?: "text") => {
    const reward: Reward = { needs: [], measures: { share: 0.25, least: 5 }, ...(reads && { reads }), reward: () => new Float64Array() };
    const recommender = { score: async (lists: Int32Array) => new Float32Array(lists.length * data.lists.length) };
    const listener = { recommender } as unknown as RewardListener;
    const { unmeasured, lists } = await new RewardBatches(study, reward).of(listener, texts, knowledge.users, [...texts.keys()]); // biome-ignore format: one line
    return { unmeasured: [...(unmeasured ?? [])], ranked: new Set(lists.text) };
  };

  it("leaves a text without a relevant item out of account where rankings are read", async () => {
    const { unmeasured, ranked } = await measuredOf();
    assert.equal(unmeasured.filter((flag) => flag === 1).length, 60); // of 80
    assert.ok(unmeasured.slice(80).every((flag) => flag === 0));
    assert.equal(ranked.size, 20);
  });

  it("counts it where the text alone is read: it has a reward as all others, and costs as much", async () => {
    const { unmeasured, ranked } = await measuredOf("text");
    assert.equal(unmeasured.filter((flag) => flag === 1).length, 67); // of 90, 23 being the least whole number above a quarter
    assert.ok(unmeasured.slice(80).some((flag) => flag === 1));
    assert.equal(ranked.size, 0);
  });
});
