import { options, plugin, type Reward, type RewardBatch, type RewardNeed } from "rlrf4rec";

interface WeightedOptions {
  readonly rewards: readonly { readonly reward: Reward; readonly weight: number }[];
  readonly standardise: boolean;
}

const needs = ["calibration"] as const;

@plugin({
  kind: "reward",
  name: "weighted",
  version: "1.1.0",
  summary: "Weighted sum of other rewards, each brought to mean 0 and standard deviation 1",
  source: "Linear scalarisation of standardised objectives (Marler & Arora 2010, doi 10.1007/s00158-009-0460-7)",
  pure: true,
  needs,
  options: {
    type: "object",
    required: ["rewards"],
    properties: {
      rewards: {
        type: "array",
        minItems: 1,
        notAllZero: "weight",
        description: "What is summed.",
        items: {
          type: "object",
          required: ["reward"],
          properties: {
            reward: { pluginKind: "reward", description: "A reward, as a section names it." },
            weight: { type: "number", default: 1, unit: "weight", description: "Multiplies the reward." },
          },
        },
      },
      standardise: {
        type: "boolean",
        default: true,
        description:
          "Subtract a reward's mean and divide by its standard deviation, over the texts that the reward model has learnt to hear; where those are all alike to it (they always are to `judge`), by a spread that the reward names: 0.5 for `judge` and `structure`, else 1.",
      },
    },
  },
})
export class Weighted implements Reward {
  readonly needs: readonly RewardNeed[];
  readonly reads?: "text" | "structure";

  constructor(@options() private readonly options: WeightedOptions) {
    const reads = new Set(options.rewards.map(({ reward }) => reward.reads));
    if (!reads.has(undefined)) this.reads = reads.has("text") ? "text" : "structure";
    this.needs = [...new Set([...(options.standardise ? needs : []), ...options.rewards.flatMap(({ reward }) => reward.needs)])];
  }

  /**
   * sum_i w_i (r_i - mean_i) / sd_i. Mean and deviation are those of the texts that the reward model has learnt to hear, for the users it scores:
   * the same for every batch, so that texts of different policies can be compared. For a reward that is constant there, sd_i is its own `spread`.
   */
  async reward(batch: RewardBatch): Promise<Float64Array> {
    const sums = new Float64Array(batch.texts.length);
    for (const { reward, weight } of this.options.rewards) {
      const values = await reward.reward(batch);
      const { mean, deviation } = await this.scaleOf(reward, batch);
      for (const [text, value] of values.entries()) sums[text] = (sums[text] as number) + (weight * (value - mean)) / deviation;
    }
    return sums;
  }

  private async scaleOf(reward: Reward, { calibration }: RewardBatch): Promise<{ readonly mean: number; readonly deviation: number }> {
    if (!this.options.standardise) return { mean: 0, deviation: 1 };
    if (calibration === undefined) throw new Error('a reward that reads calibration texts has "calibration" in its needs');
    const values = (await reward.reward({ ...calibration, calibration })).filter((value) => !Number.isNaN(value));
    const { spread = 1 } = reward;
    if (values.length === 0) return { mean: 0, deviation: spread };
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
    return { mean, deviation: deviation < 1e-9 ? spread : deviation };
  }
}
