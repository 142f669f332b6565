import {
  type BetaOption,
  betaOption,
  type LabelSmoothingOption,
  labelSmoothingOption,
  logRatios,
  meanOverRejected,
  options,
  type PreferenceBatch,
  type PreferenceLoss,
  plugin,
  tf,
} from "rlrf4rec";

const needs = ["reference"] as const;

@plugin({
  kind: "loss",
  name: "robust-dpo",
  version: "1.0.0",
  summary: "DPO made unbiased under preferences that are flipped with a known chance",
  source: "Ray Chowdhury et al. 2024, arXiv 2403.00409 (rDPO)",
  pure: true,
  needs,
  options: { type: "object", properties: { beta: betaOption(0.1), labelSmoothing: labelSmoothingOption(0.1) } },
})
export class RobustDpo implements PreferenceLoss {
  readonly needs = needs;
  readonly beta: number;

  constructor(@options() private readonly options: BetaOption & LabelSmoothingOption) {
    this.beta = options.beta;
  }

  /** [-(1 - e) log s(beta D) + e log s(-beta D)] / (1 - 2e), D = u - v: can be negative. @returns [pairs], nats */
  loss(batch: PreferenceBatch): tf.Tensor1D {
    const flipped = this.options.labelSmoothing;
    const { u, v } = logRatios(batch);
    const x = tf.mul(tf.sub(u, v), this.beta); // [pairs, k]
    const unbiased = tf.sub(tf.mul(tf.softplus(tf.neg(x)), 1 - flipped), tf.mul(tf.softplus(x), flipped));
    return meanOverRejected(tf.div(unbiased, 1 - 2 * flipped));
  }
}
