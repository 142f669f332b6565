/**
 * The hearing test: a reward is worth something only if the recommender's ranking depends on what the user's text says.
 * Each model is asked about users that it has seen nothing of, with their own texts and with those of others.
 */
import { RlrfError } from "../errors.js";
import { mean } from "../metrics/aggregate.js";
import { bootstrapInterval } from "../metrics/statistics.js";
import { derangement, exchanged } from "./arms.js";
import { type ScoredLists, userValues } from "./figures.js";
import { distribute } from "./distribute.js";
import { encoderOf, fitNames, type Listener, mainMetric, rankLists, recommenderOf, roundOf } from "./fits.js";
import type { PolicyTexts } from "./infer.js";
import type { Knowledge } from "./recommender.js";
import type { Hearing } from "./result.js";
import type { RewardModels } from "./reward.js";
import type { Study } from "./study.js";
import { encoderUnits, recommenderUnits } from "./units.js";

/** Before anything is sampled. @throws RLRF_REWARD_DEAF unless `alignment.deaf` is "continue" */
export async function mustHear(study: Study, reward: RewardModels, texts: string): Promise<Hearing> {
  const hearing = new HearingTest(study, reward.knowledge);
  for (const listener of reward.listeners()) await hearing.ask(listener);
  const outcome = hearing.outcome(texts);
  if (outcome.deaf && study.spec.alignment?.deaf !== "continue") {
    const { hint, ...fault } = deafness(study, outcome);
    throw new RlrfError("RLRF_REWARD_DEAF", { ...fault, hint: `${hint}; alignment.deaf = "continue" goes on regardless` });
  }
  return warned(study, outcome);
}

/** For runs without alignment: the recommenders that will be evaluated, on their valid users. */
export async function hearOnValidUsers(study: Study, { name: texts, texts: written }: PolicyTexts): Promise<Hearing> {
  const knowledge = await study.knowledge(written);
  const hearing = new HearingTest(study, knowledge);
  const fits = fitNames(study, "evaluate");
  await distribute(study, () => encoderUnits(study, fits));
  await distribute(study, () => recommenderUnits(study, fits, knowledge));
  for (const name of fits) {
    const round = roundOf(study, name);
    const encoder = await encoderOf(study, round, name);
    try {
      const recommender = await recommenderOf(study, round, name, knowledge, encoder);
      const listener = { recommender, users: round.valid, seed: name.seed };
      await hearing.ask(listener).finally(() => recommender.dispose());
    } finally {
      encoder.dispose();
    }
  }
  return warned(study, hearing.outcome(texts));
}

function warned(study: Study, outcome: Hearing): Hearing {
  const { message, hint } = deafness(study, outcome);
  if (outcome.deaf) study.warn("RLRF_REWARD_DEAF", message, hint);
  return outcome;
}

class HearingTest {
  private readonly right: ScoredLists[] = [];
  private readonly swapped: ScoredLists[] = [];
  private readonly others: Knowledge;

  constructor(
    private readonly study: Study,
    private readonly own: Knowledge,
  ) {
    this.others = exchanged(own, derangement(study.data.users.length, study.spec.protocol.seed, "hearing"));
  }

  async ask(listener: Listener): Promise<void> {
    this.right.push(await rankLists(this.study, listener, this.own.users));
    this.swapped.push(await rankLists(this.study, listener, this.others.users));
  }

  outcome(texts: string): Hearing {
    const { study } = this;
    const right = userValues(study, this.right, mainMetric(study));
    const swapped = userValues(study, this.swapped, mainMetric(study));
    const difference = bootstrapInterval(
      right.map((value, user) => value - (swapped[user] as number)),
      { seed: study.spec.protocol.seed },
    );
    const users = right.filter((value) => !Number.isNaN(value)).length;
    const hearing = { texts, users, right: mean(right), swapped: mean(swapped), difference, deaf: !(difference.low > 0) };
    study.context.tracker.metrics({ "hearing/right": hearing.right, "hearing/swapped": hearing.swapped, "hearing/low": difference.low });
    return hearing;
  }
}

function deafness(study: Study, { texts, users, difference }: Hearing) {
  const round = (value: number) => value.toFixed(4);
  return {
    message:
      `the recommender does not hear the texts of ${texts}: ${mainMetric(study)} of ${users} users changes by ${round(difference.mean)} ` +
      `(${round(difference.low)} to ${round(difference.high)}) when they are swapped`,
    where: "/reward",
    expected: "an interval above zero",
    hint: 'try adaptor.options.join = "aspects", more users or alignment.rewardFolds, smaller batches of the reranker (a few users make few steps), texts that say more, or, where the reranker reads the history itself (mir), textEncoder.centre = true',
  };
}
