import {
  type BetaOption,
  betaOption,
  column,
  logisticLoss,
  logRatio,
  meanOverRejected,
  options,
  type PreferenceBatch,
  type PreferenceLoss,
  perToken,
  plugin,
  tf,
} from "rlrf4rec";

const needs = ["reference", "lengths"] as const;

@plugin({
  kind: "loss",
  name: "dpo-norm",
  version: "1.0.0",
  summary: "DPO on log-ratios of a token: long texts win nothing by their length",
  source: "Lambert et al. 2024, arXiv 2411.15124 (Tülu 3: length-normalised DPO)",
  pure: true,
  needs,
  options: { type: "object", properties: { beta: betaOption(5) } },
})
export class DpoNorm implements PreferenceLoss {
  readonly needs = needs;
  readonly beta: number;

  constructor(@options() options: BetaOption) {
    this.beta = options.beta;
  }

  /** -log s(beta (u / |y_w| - v / |y_l|)). @returns [pairs], nats */
  loss({ chosen, rejected }: PreferenceBatch): tf.Tensor1D {
    const margin = tf.sub(column(perToken(logRatio(chosen), chosen)), perToken(logRatio(rejected), rejected)); // [pairs, k]
    return meanOverRejected(logisticLoss(tf.mul(margin, this.beta)));
  }
}
