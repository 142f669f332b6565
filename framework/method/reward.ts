/** Steps 3 and 4: the recommender as a reward model. Nobody's text is scored by a model that has seen that user's lists. */
import { join } from "node:path";
import type { Reward, RewardBatch } from "../contracts/feedback.js";
import type { Round } from "../contracts/dataset.js";
import { hasRelevant, labelsOf } from "../data/labels.js";
import { readTensors, valuesOf, writeTensors } from "../store/tensors.js";
import { encoderOf, type FitName, type Listener, recommenderOf } from "./fits.js";
import type { PolicyTexts, UserText } from "./infer.js";
import type { FittedEncoder, Knowledge, Recommender } from "./recommender.js";
import type { Study } from "./study.js";

interface RewardModel {
  readonly round: Round;
  readonly name: FitName;
  readonly encoder: FittedEncoder;
  readonly recommender: Recommender;
}

/** The cross-fitted reward models of an iteration: one for each part of the align users and each recommender seed. */
export class RewardModels {
  private constructor(
    private readonly study: Study,
    private readonly reward: Reward,
    readonly knowledge: Knowledge,
    private readonly models: readonly RewardModel[],
  ) {}

  /** Step 3, for the reward: recommenders that have learnt to hear texts like these. */
  static async fit(study: Study, reward: Reward, heard: PolicyTexts): Promise<RewardModels> {
    const knowledge = await study.knowledge(heard.texts);
    const models: RewardModel[] = [];
    for (const [fold, round] of study.data.parts.reward.entries()) {
      for (const seed of study.spec.seeds) {
        const name = { part: "reward", fold, seed } as const;
        const encoder = await encoderOf(study, round, name);
        models.push({ round, name, encoder, recommender: await recommenderOf(study, round, name, knowledge, encoder) });
      }
    }
    return new RewardModels(study, reward, knowledge, models);
  }

  /**
   * Step 4: r(u, t) = mean over u's lists, then over seeds, of the reward of R's ranking with t in place of t_u.
   * @returns [texts]; NaN for a user without a relevant item in any list
   */
  async score(texts: readonly UserText[]): Promise<Float64Array> {
    const { context, parts, spec, dataKey } = this.study;
    const inputs = {
      data: dataKey,
      reward: parts.identities.reward,
      models: [parts.identities.encoder, parts.identities.adaptor, parts.identities.reranker, this.knowledge, spec.seeds],
      metric: spec.protocol.metrics[0],
      history: spec.protocol.history,
      rounds: this.study.data.parts.reward,
      engine: context.engine.name,
      ties: spec.protocol.ties,
      texts: texts.map(({ user, parsed }) => [user, parsed.canonical, parsed.structureRate]),
    };
    const step = await context.store.step({ step: "rewards", version: 1, inputs }, async (folder) => {
      const values = await this.scored(texts);
      await writeTensors(join(folder, "rewards.safetensors"), { rewards: { shape: [values.length], values: values } });
    });
    const file = join(step.folder, "rewards.safetensors");
    return valuesOf(await readTensors(file), "rewards", Float64Array);
  }

  private async scored(texts: readonly UserText[]): Promise<Float64Array> {
    const sums = new Float64Array(texts.length);
    const vectors = await this.study.encode(texts);
    for (const model of this.models) {
      const mine = new Set(model.round.test);
      const rows = texts.flatMap(({ user }, row) => (mine.has(user) ? [row] : []));
      const rewards = await this.reward.reward(await this.ranked(model, texts, vectors, rows));
      for (const [i, row] of rows.entries()) sums[row] = (sums[row] as number) + (rewards[i] as number) / this.study.spec.seeds.length;
    }
    return sums;
  }

  /** The model's scores of all lists of the texts' users, each list once a text. */
  private async ranked(
    model: RewardModel,
    texts: readonly UserText[],
    vectors: Float32Array,
    rows: readonly number[],
  ): Promise<RewardBatch> {
    const { data, spec, context } = this.study;
    const byUser = this.relevantLists();
    const lists: number[] = [];
    const textOf: number[] = [];
    for (const [i, row] of rows.entries()) {
      for (const list of byUser.get(texts[row]?.user as number) ?? []) {
        lists.push(list);
        textOf.push(i);
      }
    }
    const numbers = Int32Array.from(lists);
    const size = this.knowledge.aspects * this.knowledge.width;
    const heard = new Float32Array(rows.length * size);
    for (const [i, row] of rows.entries()) heard.set(vectors.subarray(row * size, (row + 1) * size), i * size);
    const text = Int32Array.from(textOf);
    const options = { progress: context.progress, signal: context.signal };
    const scores = await model.recommender.score(numbers, heard, text, options);
    const neutral = this.reward.needs.includes("neutral")
      ? await model.recommender.score(numbers, new Float32Array(size), new Int32Array(numbers.length), options)
      : undefined;
    return {
      texts: rows.map((row) => ({
        user: texts[row]?.user as number,
        text: texts[row]?.text as string,
        structureRate: texts[row]?.parsed.structureRate as number,
      })),
      lists: { text, length: data.lists.length, scores, labels: labelsOf(data.lists, numbers), ...(neutral && { neutral }) },
      ties: spec.protocol.ties,
    };
  }

  /** Lists without a relevant item have no ideal order: they reward nothing. */
  private relevantLists(): ReadonlyMap<number, readonly number[]> {
    const { lists } = this.study.data;
    const byUser = new Map<number, number[]>();
    for (let list = 0; list < lists.count; list++) {
      if (!hasRelevant(lists, list)) continue;
      const user = lists.user[list] as number;
      byUser.get(user)?.push(list) ?? byUser.set(user, [list]);
    }
    return byUser;
  }

  /** Each model with the users it may score. */
  listeners(): Listener[] {
    return this.models.map(({ recommender, round, name }) => ({ recommender, users: round.test, seed: name.seed }));
  }

  dispose(): void {
    for (const { recommender } of this.models) recommender.dispose();
    for (const { encoder } of this.models) encoder.dispose();
  }
}
