/** Steps 3 and 4: the recommender as a reward model. Nobody's text is scored by a model that has seen that user's lists. */
import { join } from "node:path";
import type { Reward, RewardBatch } from "../contracts/feedback.js";
import type { Round } from "../contracts/dataset.js";
import { mean } from "../metrics/aggregate.js";
import { readJson, writeJson } from "../store/files.js";
import { readTensors, valuesOf, writeTensors } from "../store/tensors.js";
import { encoderOf, type FitName, type Listener, recommenderOf } from "./fits.js";
import type { PolicyTexts, UserText } from "./infer.js";
import type { FittedEncoder, Knowledge, Recommender } from "./recommender.js";
import { RewardBatches } from "./reward-batch.js";
import type { Study } from "./study.js";

interface RewardModel {
  readonly round: Round;
  readonly name: FitName;
  readonly encoder: FittedEncoder;
  readonly recommender: Recommender;
}

async function modelOf(study: Study, round: Round, name: FitName, knowledge: Knowledge): Promise<RewardModel> {
  const encoder = await encoderOf(study, round, name);
  try {
    return { round, name, encoder, recommender: await recommenderOf(study, round, name, knowledge, encoder) };
  } catch (error) {
    encoder.dispose();
    throw error;
  }
}

/** The cross-fitted reward models of an iteration: one for each part of the align users and each recommender seed. */
export class RewardModels {
  private readonly batches: RewardBatches;

  private constructor(
    private readonly study: Study,
    private readonly reward: Reward,
    readonly knowledge: Knowledge,
    private readonly models: readonly RewardModel[],
    /** What the models have learnt to hear, a text a user. */
    private readonly heard: readonly UserText[],
  ) {
    this.batches = new RewardBatches(study, reward);
  }

  /** Step 3, for the reward: recommenders that have learnt to hear texts like these. */
  static async fit(study: Study, reward: Reward, heard: PolicyTexts): Promise<RewardModels> {
    const knowledge = await study.knowledge(heard.texts);
    const models: RewardModel[] = [];
    const fitted = new RewardModels(study, reward, knowledge, models, heard.texts);
    try {
      for (const [fold, round] of study.data.parts.reward.entries())
        for (const seed of study.spec.seeds) models.push(await modelOf(study, round, { part: "reward", fold, seed }, knowledge));
      return fitted;
    } catch (error) {
      fitted.dispose();
      throw error;
    }
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
      ...(this.reward.needs.includes("prompts") && { prompt: spec.prompt, heard: this.heard, raw: texts.map(({ text }) => text) }),
    };
    const step = await context.store.step({ step: "rewards", version: 1, inputs }, async (folder) => {
      const { values, figures } = await this.scored(texts);
      await writeTensors(join(folder, "rewards.safetensors"), { rewards: { shape: [values.length], values: values } });
      await writeJson(join(folder, "figures.json"), figures);
    });
    await this.tell(step.folder);
    const file = join(step.folder, "rewards.safetensors");
    return valuesOf(await readTensors(file), "rewards", Float64Array);
  }

  private async scored(texts: readonly UserText[]) {
    const values = new Float64Array(texts.length);
    const figures: Record<string, number>[] = [];
    const vectors = await this.study.encode(texts);
    for (const model of this.models) {
      const mine = new Set(model.round.test);
      const rows = texts.flatMap(({ user }, row) => (mine.has(user) ? [row] : []));
      const batch = await this.batches.of(model, texts, vectors, rows);
      const calibration = this.reward.needs.includes("calibration") ? { calibration: await this.calibration(model) } : {};
      const rewards = await this.reward.reward({ ...batch, ...calibration, report: (told) => void figures.push({ ...told }) });
      for (const [i, row] of rows.entries()) values[row] = (values[row] as number) + (rewards[i] as number) / this.study.spec.seeds.length;
    }
    return { values, figures };
  }

  private async calibration(model: RewardModel): Promise<RewardBatch> {
    const vectors = this.knowledge.users;
    return this.batches.of(model, this.heard, vectors, [...model.round.test], { measureAll: true });
  }

  /** What the reward said of itself: the mean over the models. */
  private async tell(folder: string): Promise<void> {
    const told = await readJson<readonly Record<string, number>[]>(join(folder, "figures.json")).catch(() => []);
    const means = Object.keys(told[0] ?? {}).map(
      (name) => [`reward/${name}`, mean(told.map((figures) => figures[name] ?? Number.NaN))] as const,
    );
    if (means.length === 0) return;
    const { tracker, logger } = this.study.context;
    tracker.metrics(Object.fromEntries(means));
    logger.info(means.map(([name, value]) => `${name} ${value.toFixed(3)}`).join(", "));
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
