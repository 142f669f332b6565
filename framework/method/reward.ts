/** Steps 3 and 4: the recommender as a reward model. Nobody's text is scored by a model that has seen that user's lists. */
import { join } from "node:path";
import type { Reward, RewardBatch } from "../contracts/feedback.js";
import { mean } from "../metrics/aggregate.js";
import { readJson, writeJson } from "../store/files.js";
import { readTensors, valuesOf, writeTensors } from "../store/tensors.js";
import type { StepIdentity } from "../store/store.js";
import type { AnswerVectors } from "./answer-vectors.js";
import { distribute, isDistributed } from "./distribute.js";
import { encoderOf, type FitName, fitNames, type Listener, recommenderOf, roundOf } from "./fits.js";
import type { PolicyTexts } from "./infer.js";
import type { FittedEncoder, Knowledge } from "./recommender.js";
import { type Heard, RewardBatches, type RewardListener } from "./reward-batch.js";
import type { UserText } from "./structure.js";
import type { Study } from "./study.js";
import { encoderUnits, recommenderUnits, rewardUnits, type StepUnit } from "./units.js";

interface RewardModel extends RewardListener {
  readonly name: FitName;
}

/** @param shared an encoder of the same round and seed, which somebody else disposes */
async function modelOf(study: Study, name: FitName, knowledge: Knowledge, shared?: FittedEncoder): Promise<RewardModel> {
  const round = roundOf(study, name);
  const encoder = shared ?? (await encoderOf(study, round, name));
  try {
    return { round, name, encoder, recommender: await recommenderOf(study, round, name, knowledge, encoder) };
  } catch (error) {
    if (shared === undefined) encoder.dispose();
    throw error;
  }
}

/** The cross-fitted reward models of an iteration: one for each part of the align users and each recommender seed. */
export class RewardModels {
  private readonly batches: RewardBatches;

  private constructor(
    private readonly study: Study,
    private readonly reward: Reward,
    private readonly heard: Heard,
    private readonly models: readonly RewardModel[],
    private readonly earlier?: RewardModels,
  ) {
    this.batches = new RewardBatches(study, reward);
  }

  get knowledge(): Knowledge {
    return this.heard.knowledge;
  }

  /**
   * Step 3, for the reward: recommenders that have learnt to hear texts like these.
   * @param earlier of an earlier iteration, if there is one: its sequence encoders, which hear no texts, are taken, and go with it
   */
  static async fit(study: Study, reward: Reward, { texts }: PolicyTexts, earlier?: RewardModels): Promise<RewardModels> {
    const knowledge = await study.knowledge(texts);
    const fits = fitNames(study, "reward");
    await distribute(study, () => encoderUnits(study, fits));
    await distribute(study, () => recommenderUnits(study, fits, knowledge));
    return RewardModels.of(study, reward, fits, { knowledge, texts }, earlier);
  }

  /** Some of them: fitted, or found in the store. */
  static async of(study: Study, reward: Reward, fits: readonly FitName[], heard: Heard, earlier?: RewardModels): Promise<RewardModels> {
    const models: RewardModel[] = [];
    const fitted = new RewardModels(study, reward, heard, models, earlier);
    try {
      for (const [i, name] of fits.entries()) models.push(await modelOf(study, name, heard.knowledge, earlier?.models[i]?.encoder));
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
    const inputs = this.inputs(texts);
    const step = await this.study.context.store.step({ step: "rewards", version: 1, inputs }, async (folder) => {
      const vectors = await this.study.encode(texts);
      await distribute(this.study, () => this.units(texts, vectors));
      const values = new Float64Array(texts.length);
      const figures: Rewards["figures"][] = [];
      for (const model of this.models) {
        const own = isDistributed(this.study) ? await this.keptOf(model, texts, vectors) : await this.rewardsOf(model, texts, vectors);
        figures.push(own.figures);
        for (const [i, row] of rowsOf(model, texts).entries())
          values[row] = (values[row] as number) + (own.values[i] as number) / this.study.spec.seeds.length;
      }
      await writeRewards(folder, { values, figures: figures.flat() });
    });
    const { values, figures } = await readRewards(step.folder);
    this.tell(figures);
    return values;
  }

  /** A unit of work for each model: a model scores all its users' texts at once, for some rewards compare them. */
  private units(texts: readonly UserText[], vectors: AnswerVectors): Promise<readonly StepUnit[]> {
    const makes = ({ name }: RewardModel) => ({ name, makes: this.stepOf(name, texts) });
    return rewardUnits(this.study, this.models.map(makes), { heard: this.heard, texts, vectors });
  }

  /** Makes what another process asks for: the rewards of each model's users, in the store. @param vectors what is heard of the texts */
  async keep(texts: readonly UserText[], vectors: AnswerVectors): Promise<void> {
    for (const model of this.models) await this.keptOf(model, texts, vectors);
  }

  private async keptOf(model: RewardModel, texts: readonly UserText[], vectors: AnswerVectors): Promise<Rewards> {
    const step = await this.study.context.store.step(this.stepOf(model.name, texts), async (folder) => {
      await writeRewards(folder, await this.rewardsOf(model, texts, vectors));
    });
    return readRewards(step.folder);
  }

  private async rewardsOf(model: RewardModel, texts: readonly UserText[], vectors: AnswerVectors): Promise<Rewards> {
    const figures: Record<string, number>[] = [];
    const batch = await this.batches.of(model, texts, vectors, rowsOf(model, texts));
    const calibration = this.reward.needs.includes("calibration") ? { calibration: await this.calibration(model) } : {};
    const report = (told: Readonly<Record<string, number>>) => void figures.push({ ...told });
    return { values: await this.reward.reward({ ...batch, ...calibration, report }), figures };
  }

  private stepOf(model: FitName, texts: readonly UserText[]): StepIdentity {
    return { step: "model-rewards", version: 1, inputs: { ...this.inputs(texts), model } };
  }

  private inputs(texts: readonly UserText[]) {
    const { context, parts, spec, dataKey, data } = this.study;
    const { needs, reads } = this.reward;
    return {
      data: dataKey,
      reward: parts.identities.reward,
      models: [parts.identities.encoder, parts.identities.adaptor, parts.identities.reranker, this.knowledge, spec.seeds],
      metric: spec.protocol.metrics[0],
      history: spec.protocol.history,
      rounds: data.parts.reward,
      engine: context.engine.name,
      ties: spec.protocol.ties,
      texts: texts.map(({ user, parsed }) => [user, parsed.canonical, parsed.structureRate]),
      ...(needs.includes("prompts") && { prompt: spec.prompt }),
      // A reward that looks at texts, or compares with others, sees more of them than the recommender hears.
      ...((reads === "text" || needs.some((need) => need === "prompts" || need === "calibration")) && {
        heard: this.heard.texts,
        raw: texts.map(({ text }) => text),
      }),
    };
  }

  private async calibration(model: RewardModel): Promise<RewardBatch> {
    const { knowledge, texts } = this.heard;
    return this.batches.of(model, texts, knowledge.users, [...model.round.test], { measureAll: true });
  }

  /** What the reward said of itself: the mean over the models. */
  private tell(told: Rewards["figures"]): void {
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
    if (this.earlier === undefined) for (const { encoder } of this.models) encoder.dispose();
  }
}

/** Of texts, and what the reward said of itself, an entry a report. */
interface Rewards {
  readonly values: Float64Array;
  readonly figures: readonly Readonly<Record<string, number>>[];
}

/** The texts that a model may score. */
function rowsOf({ round }: RewardModel, texts: readonly UserText[]): number[] {
  const mine = new Set(round.test);
  return texts.flatMap(({ user }, row) => (mine.has(user) ? [row] : []));
}

async function writeRewards(folder: string, { values, figures }: Rewards): Promise<void> {
  await writeTensors(join(folder, "rewards.safetensors"), { rewards: { shape: [values.length], values } });
  await writeJson(join(folder, "figures.json"), figures);
}

async function readRewards(folder: string): Promise<Rewards> {
  const values = valuesOf(await readTensors(join(folder, "rewards.safetensors")), "rewards", Float64Array);
  return { values, figures: await readJson<Rewards["figures"]>(join(folder, "figures.json")).catch(() => []) };
}
