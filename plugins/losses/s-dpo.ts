import { type BetaOption, betaOption, logRatios, options, type PreferenceBatch, type PreferenceLoss, plugin, tf } from "rlrf4rec";

const needs = ["reference", "listwise"] as const;

@plugin({
  kind: "loss",
  name: "s-dpo",
  version: "1.0.0",
  summary: "Softmax DPO: the chosen text against k rejected ones at once",
  source: "Chen et al. 2024, arXiv 2406.09215 (S-DPO)",
  pure: true,
  needs,
  options: { type: "object", properties: { beta: betaOption(1) } },
})
export class SDpo implements PreferenceLoss {
  readonly needs = needs;
  readonly beta: number;

  constructor(@options() options: BetaOption) {
    this.beta = options.beta;
  }

  /** -log s(-log sum_d exp(beta (v_d - u))). @returns [pairs], nats */
  loss(batch: PreferenceBatch): tf.Tensor1D {
    const { u, v } = logRatios(batch);
    return tf.softplus(tf.logSumExp(tf.mul(tf.sub(v, u), this.beta), 1));
  }
}
