import { type BetaOption, betaOption, column, logRatios, options, type PreferenceBatch, type PreferenceLoss, plugin, tf } from "rlrf4rec";

interface RecPoOptions extends BetaOption {
  readonly lambda: number;
  readonly margin: "ratio" | "log";
  readonly floor: number;
}

const needs = ["reference", "rewards", "listwise"] as const;

@plugin({
  kind: "loss",
  name: "rec-po",
  version: "1.1.0",
  summary: "Softmax DPO with a margin for each rejected text, the larger the better the chosen text's reward is",
  source: "Ouyang et al. 2025, arXiv 2506.02261 (RecPO)",
  pure: true,
  needs,
  options: {
    type: "object",
    properties: {
      beta: betaOption(1),
      lambda: { type: "number", minimum: 0, default: 1, unit: "weight", description: "Of the margin." },
      margin: {
        enum: ["ratio", "log"],
        default: "ratio",
        description: "m of rewards w and d: w / d, for rewards from 0 up, or log(1 + w - d).",
        worksWith: { ratio: { reward: { ndcg: {}, map: {}, mrr: {}, structure: {}, judge: {} } } },
      },
      floor: {
        type: "number",
        exclusiveMinimum: 0,
        default: 0.1,
        unit: "reward",
        description:
          "A rejected text's reward (in log: 1 + the difference) below this counts as this. Ours: the paper's ratio is of positive ratings, but NDCG@5 is often 0, which would ask for an infinite margin.",
      },
    },
  },
})
export class RecPo implements PreferenceLoss {
  readonly needs = needs;
  readonly beta: number;

  constructor(@options() private readonly options: RecPoOptions) {
    this.beta = options.beta;
  }

  /** -log s(-log sum_d exp(beta (v_d - u) + lambda m_d)). @returns [pairs], nats */
  loss(batch: PreferenceBatch): tf.Tensor1D {
    const { u, v } = logRatios(batch);
    const logits = tf.add(tf.mul(tf.sub(v, u), this.beta), tf.mul(this.margins(batch), this.options.lambda)); // [pairs, k]
    return tf.softplus(tf.logSumExp(logits, 1));
  }

  private margins({ chosen, rejected }: PreferenceBatch): tf.Tensor {
    if (chosen.rewards === undefined || rejected.rewards === undefined) throw new Error('"rewards" is missing from the batch');
    const best = column(chosen.rewards);
    const { margin, floor } = this.options;
    if (margin === "ratio") return tf.div(best, tf.maximum(rejected.rewards, floor));
    return tf.log(tf.maximum(tf.add(1, tf.sub(best, rejected.rewards)), floor));
  }
}
