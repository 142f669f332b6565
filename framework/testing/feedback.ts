/** Contract suites of what turns the recommender's feedback into tuning: rewards, sampling strategies, losses. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type {
  LossNeed,
  PreferenceBatch,
  PreferenceLoss,
  PreferenceSide,
  Reward,
  RewardBatch,
  SampledText,
  SamplingStrategy,
} from "../contracts/feedback.js";
import { createRng } from "../rng.js";
import { annotated } from "../spec/options.js";
import { identityChecks } from "./identity.js";
import { identityOfSubject, type Runner, type Subject, suite, withPlugin } from "./subject.js";
import { finite, noLeak, normal } from "./tensors.js";

/** `rlrf check` goes by the decorator alone, where that says something: more than an instance needs with its options, never less. */
function declares(subject: Subject<PreferenceLoss | SamplingStrategy | Reward>): () => Promise<void> {
  return () =>
    withPlugin(subject, (product) => {
      const { needs, rejected, reads, measures, options } = identityOfSubject(subject);
      if (annotated(options, subject.options, "pluginKind").length > 0) return; // what the plugins within need comes on top
      if (needs !== undefined)
        for (const need of product.needs) assert.ok(needs.includes(need), `"${need}" is missing from the decorator's needs`);
      if (rejected !== undefined) assert.equal(rejected, (product as { rejected?: unknown }).rejected, "`rejected` of decorator and class");
      assert.equal(reads, (product as Partial<Reward>).reads, "`reads` of decorator and class");
      assert.equal(measures === true, "measures" in product, "`measures` of decorator and class");
    });
}

const pairs = 6;

/** Log-probs of texts of 5 to 10 tokens near their reference's, and rewards in which the chosen texts are better. */
export function preferenceBatch(k: number, seed = 1): PreferenceBatch {
  const side = <Shape extends tf.Tensor>(dimensions: number[], at: number, reward: number) => {
    const reference = tf.add(tf.mul(normal(dimensions as [number, number], at), 2), -15) as Shape;
    return {
      reference,
      logProbs: tf.add(reference, tf.mul(normal(dimensions as [number, number], at + 1), 0.5)) as Shape,
      lengths: tf.add(5, tf.floor(tf.abs(tf.mul(normal(dimensions as [number, number], at + 2), 2)))) as Shape,
      rewards: tf.add(reward, tf.mul(0.1, tf.tanh(normal(dimensions as [number, number], at + 3)))) as Shape,
    };
  };
  return {
    chosen: side<tf.Tensor1D>([pairs], seed * 100, 0.8),
    rejected: side<tf.Tensor2D>([pairs, k], seed * 100 + 10, 0.3),
    mismatched: side<tf.Tensor1D>([pairs], seed * 100 + 20, 0.5),
  };
}

/** Of the mean loss, for the log-probs of both sides. */
function gradients(loss: PreferenceLoss, batch: PreferenceBatch): readonly [chosen: Float32Array, rejected: Float32Array] {
  const mean = (chosen: tf.Tensor, rejected: tf.Tensor) =>
    tf.add(
      tf.mean(
        loss.loss({
          ...batch,
          chosen: { ...batch.chosen, logProbs: chosen as tf.Tensor1D },
          rejected: { ...batch.rejected, logProbs: rejected as tf.Tensor2D },
        }),
      ),
      tf.mul(0, tf.add(tf.sum(chosen), tf.sum(rejected))), // a loss may leave a side out
    );
  const [chosen, rejected] = tf.grads(mean)([batch.chosen.logProbs, batch.rejected.logProbs]);
  return [chosen?.dataSync<"float32">() ?? new Float32Array(), rejected?.dataSync<"float32">() ?? new Float32Array()];
}

const lossNeeds: readonly string[] = ["reference", "lengths", "rewards", "listwise", "ranked", "mismatched", "batch"] satisfies LossNeed[];

export function lossContract(subject: Subject<PreferenceLoss>, runner?: Runner): void {
  const using = (body: (loss: PreferenceLoss, k: number) => void) => () =>
    withPlugin(subject, (loss) => noLeak(() => tf.tidy(() => body(loss, loss.needs.includes("listwise") ? 3 : 1))));
  const checks = {
    "says what it needs": using(({ needs, beta }) => {
      for (const need of needs) assert.ok(lossNeeds.includes(need), `"${need}" is no need`);
      assert.ok(beta === undefined || beta > 0, `beta is ${beta}`);
    }),
    "needs what its decorator says": declares(subject),
    "gives a finite loss for each pair": using((loss, k) => {
      const values = loss.loss(preferenceBatch(k));
      assert.deepEqual(values.shape, [pairs]);
      finite(values.dataSync(), "loss");
    }),
    "computes with what it says it needs, and nothing else": using((loss, k) => {
      const { chosen, rejected, mismatched } = preferenceBatch(k);
      const keys: readonly string[] = ["logProbs", ...loss.needs];
      const needed = <Side extends object>(side: Side) =>
        Object.fromEntries(Object.entries(side).filter(([key]) => keys.includes(key))) as Side;
      const rest = loss.needs.includes("mismatched") && mismatched !== undefined ? { mismatched: needed(mismatched) } : {};
      finite(loss.loss({ chosen: needed(chosen), rejected: needed(rejected), ...rest }).dataSync(), "loss");
    }),
    "sends a finite gradient to the policy": using((loss, k) => {
      const [chosen, rejected] = gradients(loss, preferenceBatch(k));
      finite(chosen, "gradient of the chosen");
      finite(rejected, "gradient of the rejected");
      assert.ok(
        [...chosen, ...rejected].some((value) => value !== 0),
        "the gradient is 0 everywhere",
      );
    }),
    "is finite 10,000 nats away from the reference, and so is its gradient": using((loss, k) => {
      const { chosen, rejected, ...rest } = preferenceBatch(k);
      for (const side of ["chosen", "rejected"])
        for (const far of ["logProbs", "reference"]) {
          const moved = <Side extends PreferenceSide<tf.Tensor>>(name: string, own: Side): Side =>
            side === name ? { ...own, [far]: tf.sub(own[far as "logProbs"], 1e4) } : own;
          const batch: PreferenceBatch = { chosen: moved("chosen", chosen), rejected: moved("rejected", rejected), ...rest };
          finite(loss.loss(batch).dataSync(), `loss, ${far} of the ${side} text far down`);
          for (const gradient of gradients(loss, batch)) finite(gradient, `gradient, ${far} of the ${side} text far down`);
        }
    }),
    "begins anew with restore(null), and goes on from its state": using((loss, k) => {
      assert.equal(loss.state === undefined, loss.restore === undefined, "state and restore come together");
      const [first, second] = [preferenceBatch(k, 1), preferenceBatch(k, 2)];
      const fresh = loss.loss(first).dataSync();
      const state = structuredClone(loss.state?.() ?? null);
      const next = loss.loss(second).dataSync();
      loss.restore?.(state);
      assert.deepEqual(loss.loss(second).dataSync(), next);
      loss.restore?.(null);
      assert.deepEqual(loss.loss(first).dataSync(), fresh);
    }),
    "gives the same again, from a new instance": async () => {
      const of = () =>
        withPlugin(subject, (loss) => tf.tidy(() => loss.loss(preferenceBatch(loss.needs.includes("listwise") ? 3 : 1)).dataSync()));
      assert.deepEqual(await of(), await of());
    },
  };
  suite(subject, runner, checks, identityChecks(subject));
}

/** Each one's partners are those that follow it, as far as there are so many. */
const users = 12;

/** Texts of one user, with rewards that tie now and then, some of them NaN, and not all in the structure. */
function sampledTexts(seed: number, { needs, partners = 0 }: SamplingStrategy): SampledText[] {
  const rng = createRng("samples", seed);
  const count = rng.below(9) + 1;
  const text = (i: number, origin: SampledText["origin"], of?: number): SampledText => ({
    text: `Genre: ${i}`,
    reward: rng.below(10) === 0 ? Number.NaN : rng.below(6) / 5,
    length: rng.below(30) + 1,
    conforms: rng.below(4) > 0,
    ...(origin === undefined ? {} : { origin }),
    ...(of === undefined ? {} : { of }),
  });
  const own = needs.filter((origin) => origin !== "partners");
  return [
    ...Array.from({ length: count }, (_, i) => text(i, "sample")),
    ...own.map((origin, i) => text(count + i, origin)),
    ...Array.from({ length: Math.min(partners, users - 1) }, (_, i) => text(count + own.length + i, "partners", (seed + 1 + i) % users)),
  ];
}

/** Of a user, by its decorator. */
function examplesAtMost(subject: Subject<SamplingStrategy>): number {
  const { examples = [], options } = identityOfSubject(subject);
  const setting = (option: string) => subject.options?.[option] ?? options?.properties?.[option]?.default;
  return examples.reduce((product, option) => product * Number(setting(option)), 1);
}

export function samplingContract(subject: Subject<SamplingStrategy>, runner?: Runner): void {
  const using = (body: (strategy: SamplingStrategy) => void) => () => withPlugin(subject, body);
  const checks = {
    "says how texts are drawn": using(({ samples, generation, needs, partners, rejected }) => {
      assert.ok(Number.isInteger(samples) && samples >= 1, `samples is ${samples}`);
      assert.ok(generation.temperature >= 0 && generation.maxTokens >= 1 && generation.topP > 0 && generation.topP <= 1);
      for (const need of needs) assert.ok(["greedy", "previous", "partners"].includes(need), `"${need}" is no need`);
      assert.equal(needs.includes("partners"), partners !== undefined, '"partners" is needed where it is said how many');
      assert.ok(partners === undefined || (Number.isInteger(partners) && partners >= 2 && partners % 2 === 0), `partners is ${partners}`);
      assert.ok([0, 1, "many", "ranked"].includes(rejected));
    }),
    "needs and gives what its decorator says": declares(subject),
    "makes examples of the samples' own indices, or says why not": using((strategy) => {
      for (let seed = 0; seed < 300; seed++) {
        const samples = sampledTexts(seed, strategy);
        const { examples, dropped } = strategy.select(samples, createRng("select", seed));
        assert.equal(examples.length === 0, dropped !== null, "`dropped` says why there are no examples, and nothing otherwise");
        for (const { chosen, rejected } of examples) {
          for (const index of [chosen, ...rejected]) {
            assert.ok(Number.isInteger(index) && index >= 0 && index < samples.length, `${index} is no sample`);
            assert.ok(!Number.isNaN(samples[index]?.reward), "a text without a reward is compared");
          }
          assert.ok(samples[chosen]?.conforms, "a text that does not conform is chosen");
          assert.ok(!rejected.includes(chosen) && new Set(rejected).size === rejected.length, "a text stands twice in an example");
          assert.ok(
            typeof strategy.rejected === "string"
              ? rejected.length >= 1 && rejected.length <= (strategy.rejectedAtMost ?? samples.length)
              : rejected.length === strategy.rejected,
            `${rejected.length} texts are rejected`,
          );
          const rewards = [chosen, ...rejected].map((index) => samples[index]?.reward as number);
          const falling = rewards.every((reward, i) => i === 0 || reward < (rewards[i - 1] as number));
          assert.ok(strategy.rejected !== "ranked" || falling, `the rewards of a ranking are ${rewards}`);
        }
      }
    }),
    "makes nothing of nothing, and of rewards that are all equal no preference": using((strategy) => {
      assert.notEqual(strategy.select([], createRng(1)).dropped, null);
      const equal = Array.from({ length: 4 }, (_, i): SampledText => ({ text: `${i}`, reward: 0.5, length: 3, conforms: true }));
      if (strategy.rejected === 1 && strategy.needs.length === 0) assert.deepEqual(strategy.select(equal, createRng(1)).examples, []);
    }),
    "keeps of each user's examples some, or says why none, where it compares users": using((strategy) => {
      const selections = Array.from({ length: users }, (_, user) => {
        const samples = sampledTexts(user, strategy);
        return { user, samples, ...strategy.select(samples, createRng("select", user)) };
      });
      const compared = strategy.compare?.(selections) ?? selections;
      const most = examplesAtMost(subject);
      assert.equal(compared.length, selections.length);
      for (const [i, { examples, dropped }] of compared.entries()) {
        assert.equal(examples.length === 0, dropped !== null, "`dropped` says why there are no examples, and nothing otherwise");
        assert.ok(examples.length <= most, `${examples.length} examples of a user, and at most ${most} by the decorator's \`examples\``);
        const made = selections[i]?.examples.map((example) => JSON.stringify(example));
        for (const example of examples) assert.ok(made?.includes(JSON.stringify(example)), "an example that `select` did not make");
      }
    }),
    "selects the same with the same random numbers, and leaves the samples alone": using((strategy) => {
      for (let seed = 0; seed < 20; seed++) {
        const samples = sampledTexts(seed, strategy);
        const copy = structuredClone(samples);
        assert.deepEqual(strategy.select(samples, createRng(seed)), strategy.select(samples, createRng(seed)));
        assert.deepEqual(samples, copy);
      }
    }),
  };
  suite(subject, runner, checks, identityChecks(subject));
}

const length = 5;

/** Texts 0 and 1 rank perfectly and the worst way round, text 2 by chance; no list of text 3 has a relevant candidate. */
function rewardBatch(order: readonly number[] = [0, 1, 2, 3, 4, 5]): RewardBatch {
  const labels = [1, 0, 1, 0, 0];
  const lists = [
    { text: 0, labels, scores: [0.9, 0.2, 0.8, 0.1, 0.3] },
    { text: 0, labels, scores: [0.8, 0.1, 0.9, 0.2, 0.3] },
    { text: 1, labels, scores: [0.1, 0.8, 0.2, 0.9, 0.7] },
    { text: 1, labels, scores: [0.2, 0.8, 0.1, 0.9, 0.7] },
    { text: 2, labels, scores: [0.5, 0.5, 0.4, 0.9, 0.1] },
    { text: 3, labels: [0, 0, 0, 0, 0], scores: [0.5, 0.4, 0.3, 0.2, 0.1] },
  ];
  const ordered = order.flatMap((i) => lists[i] ?? []);
  return {
    texts: [0, 1, 2, 3].map((user) => ({ user, text: `Genre: ${user}`, structureRate: 1 })),
    lists: {
      text: Int32Array.from(ordered, ({ text }) => text),
      length,
      scores: Float32Array.from(ordered.flatMap(({ scores }) => scores)),
      labels: Uint8Array.from(ordered.flatMap((list) => list.labels)),
      neutral: Float32Array.from(ordered.flatMap(() => [0.5, 0.4, 0.3, 0.2, 0.1])),
    },
    ties: "expected",
    vectors: { width: 2, values: Float32Array.of(1, 0, 0, 1, 0.5, 0.5, 0.2, 0.3) },
    states: { width: 1, values: Float32Array.of(0.1, 0.2, 0.3, 0.4) },
    prompts: ["1", "2", "3", "1"].map((user) => ({ user, messages: [{ role: "user", content: "What does the user like?" }] })),
  };
}

/** With texts to compare with, the same users', one each, and with the same texts at two other users, for whom they rank by chance. */
function wholeBatch(order?: readonly number[]): RewardBatch {
  const own = { ...rewardBatch(order), others: [10, 11].map(atUser) };
  const texts = own.texts.map((text) => ({ ...text, text: `Genre: other ${text.user}` }));
  return { ...own, calibration: { ...rewardBatch(), texts, others: own.others } };
}

function atUser(user: number): RewardBatch {
  const texts = rewardBatch().texts.map((text) => ({ ...text, user }));
  const ofTexts = (row: readonly number[]) => texts.flatMap(() => row);
  return {
    texts,
    lists: {
      text: Int32Array.from(texts.keys()),
      length,
      scores: Float32Array.from(ofTexts([0.5, 0.4, 0.6, 0.1, 0.2])),
      labels: Uint8Array.from(ofTexts([0, 1, 0, 0, 1])),
      neutral: Float32Array.from(ofTexts([0.5, 0.4, 0.3, 0.2, 0.1])),
    },
    ties: "expected",
  };
}

export function rewardContract(subject: Subject<Reward>, runner?: Runner): void {
  const rewards = (batch: RewardBatch) => withPlugin(subject, async (reward) => [...(await reward.reward(batch))]);
  const readsText = () => withPlugin(subject, ({ reads }) => reads !== undefined);
  const checks = {
    "says what it needs": () =>
      withPlugin(subject, ({ needs }) => {
        for (const need of needs)
          assert.ok(["neutral", "vectors", "states", "prompts", "calibration", "others"].includes(need), `"${need}" is no need`);
      }),
    "needs what its decorator says": declares(subject),
    "gives one number a text, and NaN where no list has a relevant candidate": async () => {
      const values = await rewards(wholeBatch());
      assert.equal(values.length, 4);
      finite(values.slice(0, 3), "reward");
      if (await readsText()) finite(values.slice(3), "reward of a text without rankings");
      else assert.ok(Number.isNaN(values[3]), `${values[3]} for a text without a relevant candidate`);
    },
    "is higher for a better ranking": async () => {
      if (await readsText()) return;
      const [best = Number.NaN, worst = Number.NaN, between = Number.NaN] = await rewards(wholeBatch());
      assert.ok(best > worst && best >= between && between >= worst, `${best}, ${between}, ${worst}`);
    },
    "does not depend on the order of the lists, and leaves the batch alone": async () => {
      const batch = wholeBatch([5, 3, 1, 4, 0, 2]);
      const copy = structuredClone(batch);
      const [a, b] = [await rewards(wholeBatch()), await rewards(batch)];
      for (const [i, value] of a.entries())
        assert.ok(Object.is(value, b[i]) || Math.abs(value - (b[i] ?? Number.NaN)) < 1e-9, `text ${i}: ${value}, ${b[i]}`);
      assert.deepEqual(batch, copy);
    },
  };
  suite(subject, runner, checks, identityChecks(subject));
}
