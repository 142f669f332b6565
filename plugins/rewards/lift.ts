import { mapBatches, options, plugin, type Reward, type RewardBatch, type RewardNeed } from "rlrf4rec";

interface LiftOptions {
  readonly reward: Reward;
}

const needs = ["neutral"] as const;

/** r(u, t) - r(u, neutral), in units of r. */
@plugin({
  kind: "reward",
  name: "lift",
  version: "1.0.1",
  summary: "Another reward minus the same with a neutral text: what does not depend on the text is gone",
  source: "Uplift as the difference of two conditions (Radcliffe & Surry 1999); the neutral text is an all-zero vector",
  pure: true,
  needs,
  options: {
    type: "object",
    properties: {
      reward: { pluginKind: "reward", default: { plugin: "ndcg" }, description: "What is measured with and without the text." },
    },
  },
})
export class Lift implements Reward {
  readonly needs: readonly RewardNeed[];

  constructor(@options() private readonly options: LiftOptions) {
    this.needs = [...new Set([...needs, ...options.reward.needs])];
  }

  async reward(batch: RewardBatch): Promise<Float64Array> {
    const { reward } = this.options;
    const without = await reward.reward(withoutText(batch));
    return (await reward.reward(batch)).map((value, text) => value - (without[text] as number));
  }
}

function withoutText(batch: RewardBatch): RewardBatch {
  const { lists, others } = batch;
  if (lists.neutral === undefined) throw new Error('a reward that reads neutral scores has "neutral" in its needs');
  return { ...batch, lists: { ...lists, scores: lists.neutral }, ...(others && { others: mapBatches(others, withoutText) }) };
}
