import { options, plugin, type Reward, type RewardBatch, type RewardNeed } from "rlrf4rec";

interface ContrastOptions {
  readonly reward: Reward;
  readonly users: number;
}

const needs = ["others"] as const;

@plugin({
  kind: "reward",
  name: "contrast",
  version: "1.0.0",
  summary: "Another reward minus what the same text earns for other users: what it says of anybody is gone",
  source:
    "Li et al. 2016, arXiv 1510.03055 (maximum mutual information: what is likely after anything says nothing), of rewards instead of likelihoods",
  pure: true,
  needs,
  options: {
    type: "object",
    properties: {
      reward: {
        pluginKind: "reward",
        default: { plugin: "ndcg" },
        description: "What is measured for the text's user and for the others.",
      },
      users: {
        type: "integer",
        minimum: 1,
        default: 30,
        unit: "users",
        description: "Others, the same for all texts that a reward model scores; each costs as much as the reward without them.",
      },
    },
  },
})
export class Contrast implements Reward {
  readonly needs: readonly RewardNeed[];

  constructor(@options() private readonly options: ContrastOptions) {
    this.needs = [...new Set([...needs, ...options.reward.needs])];
  }

  /**
   * r(u, t) - mean over u' of r(u', t), u' other than u; NaN where there is no other user. A recommender that is trained on the texts learns what a
   * text is worth to anybody without them: only what is left tells of the user.
   */
  async reward(batch: RewardBatch): Promise<Float64Array> {
    const { others, calibration } = batch;
    if (others === undefined) throw new Error('a reward that reads the rankings of other users has "others" in its needs');
    const { reward, users } = this.options;
    const own = await reward.reward(batch);
    const sums = new Float64Array(own.length);
    const counts = new Int32Array(own.length);
    let asked = 0;
    for await (const other of others) {
      const theirs = await reward.reward({ ...other, ...(calibration && { calibration }) });
      for (const [text, value] of theirs.entries()) {
        if (other.texts[text]?.user === batch.texts[text]?.user) continue;
        sums[text] = (sums[text] as number) + value;
        counts[text] = (counts[text] as number) + 1;
      }
      if (++asked === users) break;
    }
    return own.map((value, text) => value - (sums[text] as number) / (counts[text] as number));
  }
}
