import {
  type BetaOption,
  betaOption,
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
  name: "apo-down",
  version: "1.0.0",
  summary: "Anchored preference optimisation that lowers both, rejected texts more: for texts worse than the policy's own",
  source: "D'Oosterlinck et al. 2024, arXiv 2408.06266, eq. 8",
  pure: true,
  needs,
  options: { type: "object", properties: { beta: betaOption(0.1) } },
})
export class ApoDown implements PreferenceLoss {
  readonly needs = needs;
  readonly beta: number;

  constructor(@options() options: BetaOption) {
    this.beta = options.beta;
  }

  /** s(beta u) + 1 - s(beta D), D = u - v. @returns [pairs] */
  loss(batch: PreferenceBatch): tf.Tensor1D {
    const { u, v } = logRatios(batch);
    return meanOverRejected(tf.add(tf.sigmoid(tf.mul(u, this.beta)), tf.sigmoid(tf.mul(tf.sub(v, u), this.beta))));
  }
}
