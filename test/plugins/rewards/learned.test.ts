import assert from "node:assert/strict";
import type { Reward, RewardBatch } from "../../../framework/contracts/feedback.js";
import { rankCorrelation } from "../../../framework/metrics/rank-correlation.js";
import { createRng } from "../../../framework/rng.js";
import { withPlugin } from "../../../framework/testing/index.js";
import { Learned } from "../../../plugins/rewards/learned.js";
import { Ndcg } from "../../../plugins/rewards/ndcg.js";
import { assertNoLeak, useEngine } from "../../support/engine.js";

const [users, each, width] = [40, 8, 4];

/** Rewards that follow from the user and from the text's vector times the user's state, and a little noise. */
function texts(unmeasuredShare: number, noise = 0.02) {
  const rng = createRng("learned test");
  const count = users * each;
  const base = Array.from({ length: users }, () => rng.uniform());
  const liking = Float32Array.from({ length: users * width }, () => rng.normal());
  const vectors = Float32Array.from({ length: count * width }, () => rng.normal());
  const states = new Float32Array(count * width);
  const rewards = Float64Array.from({ length: count }, (_, text) => {
    const user = Math.floor(text / each);
    states.set(liking.subarray(user * width, (user + 1) * width), text * width);
    return (base[user] as number) + 0.1 * (vectors[text * width] as number) + noise * rng.normal();
  });
  const unmeasured = Uint8Array.from({ length: count }, () => Number(rng.uniform() < unmeasuredShare));
  const batch: RewardBatch = {
    texts: Array.from({ length: count }, (_, text) => ({ user: Math.floor(text / each), text: `${text}`, structureRate: 1 })),
    lists: { text: new Int32Array(), length: 1, scores: new Float32Array(), labels: new Uint8Array() },
    ties: "expected",
    vectors: { width, values: vectors },
    states: { width, values: states },
    unmeasured,
  };
  const inner: Reward = {
    needs: ["neutral"],
    reward: (given) => Float64Array.from(given.texts, ({ text }) => rewards[Number(text)] as number),
  };
  return { batch, rewards, unmeasured, inner };
}
const options = { share: 0.3, least: 10, heldOut: 0.25, hidden: 16, steps: 150, learningRate: 5e-3, weightDecay: 1 };

describe("learned reward", () => {
  useEngine();

  it("keeps what was measured, predicts the rest in its order, and reports its rank correlation on held-out texts", () =>
    assertNoLeak(async () => {
      const { batch, rewards, unmeasured, inner } = texts(0.6);
      const told: Record<string, number>[] = [];
      const learned = new Learned({ ...options, reward: inner });
      const values = await learned.reward({ ...batch, report: (figures) => void told.push({ ...figures }) });
      const rest = [...unmeasured.keys()].filter((text) => unmeasured[text] === 1);
      for (const [text, reward] of rewards.entries()) if (unmeasured[text] === 0) assert.equal(values[text], reward);
      const correlation = rankCorrelation(rest.map((text) => values[text] as number), rest.map((text) => rewards[text] as number)); // biome-ignore format: one line
      assert.ok(correlation > 0.8, `rank correlation ${correlation}`);
      const [figures] = told;
      assert.ok(figures && (figures.rank_correlation as number) > 0.7 && (figures.rank_correlation_within_users as number) > 0.5, JSON.stringify(told)); // biome-ignore format: one line
      assert.equal((figures.measured as number) + (figures.predicted as number), users * each);
      assert.deepEqual(await learned.reward(batch), values, "the same again");
    }));

  it("shows the other reward only what is to be measured: a judge is asked of no more", async () => {
    const { batch, rewards, unmeasured, inner } = texts(0.6);
    const asked: RewardBatch[] = [];
    const judge: Reward = {
      needs: ["prompts"],
      reads: "text",
      reward: (given) => {
        asked.push(given);
        return inner.reward(given);
      },
    };
    const learned = new Learned({ ...options, reward: judge });
    const values = await learned.reward(batch);
    const measured = batch.texts.filter((_, text) => unmeasured[text] === 0);
    assert.deepEqual(asked.map(({ texts }) => texts), [measured]); // biome-ignore format: one line
    assert.equal(learned.reads, "text");
    assert.equal(new Learned({ ...options, reward: new Ndcg({ at: 5 }) }).reads, undefined);
    const rest = [...unmeasured.keys()].filter((text) => unmeasured[text] === 1);
    assert.ok(
      rest.every((text) => Number.isFinite(values[text]) && values[text] !== rewards[text]),
      "predicted",
    );
    for (const [text, reward] of rewards.entries()) if (unmeasured[text] === 0) assert.equal(values[text], reward);
  });

  it("measures all of a small batch, and asks for what its inner reward needs", async () => {
    const { batch, inner } = texts(0);
    const learned = new Learned({ ...options, reward: inner });
    assert.deepEqual(await learned.reward(batch), inner.reward(batch));
    assert.deepEqual([...learned.needs].sort(), ["neutral", "states", "vectors"]);
    assert.deepEqual({ share: learned.measures.share, least: learned.measures.least }, { share: 0.3, least: 10 });
  });

  it("leaves a text without a relevant item without a reward", async () => {
    const { batch, inner } = texts(0.5);
    const none = (text: number) => text < each;
    const batchWithout = { ...batch, unmeasured: batch.unmeasured?.map((flag, text) => (none(text) ? 0 : flag)) as Uint8Array };
    const without: Reward = {
      needs: [],
      reward: async (given) => (await inner.reward(given)).map((value, i) => (none(Number(given.texts[i]?.text)) ? Number.NaN : value)),
    };
    const values = await new Learned({ ...options, reward: without }).reward(batchWithout);
    for (const [text, value] of values.entries()) assert.equal(Number.isNaN(value), none(text));
  });

  it("takes NDCG by default", () => withPlugin({ plugin: Learned, plugins: [Ndcg] }, ({ measures }) => assert.equal(measures.share, 0.3)));

  it("rank correlation is Spearman's, ties at their mean rank", () => {
    assert.equal(rankCorrelation([1, 2, 3, 4], [10, 20, 30, 40]), 1);
    assert.equal(rankCorrelation([1, 2, 3, 4], [4, 3, 2, 1]), -1);
    // ranks 0, 1, 2, 3, 4 and 0.5, 0.5, 2, 3.5, 3.5: 9 / sqrt(10 * 9)
    assert.ok(Math.abs(rankCorrelation([1, 2, 3, 4, 5], [1, 1, 2, 3, 3]) - 9 / Math.sqrt(90)) < 1e-12);
    assert.ok(Number.isNaN(rankCorrelation([1, 2], [1, 1])));
  });
});
