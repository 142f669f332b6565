import {
  type BetaOption,
  betaOption,
  logisticLoss,
  logRatios,
  options,
  type PreferenceBatch,
  type PreferenceLoss,
  plugin,
  tf,
} from "rlrf4rec";

const needs = ["reference", "listwise"] as const;

@plugin({
  kind: "loss",
  name: "dmpo",
  version: "1.0.0",
  summary: "Direct multi-preference optimisation: the chosen text against the mean of k rejected ones",
  source: "Bai et al. 2024, arXiv 2405.16127 (DMPO)",
  pure: true,
  needs,
  options: { type: "object", properties: { beta: betaOption(0.1) } },
})
export class Dmpo implements PreferenceLoss {
  readonly needs = needs;
  readonly beta: number;

  constructor(@options() options: BetaOption) {
    this.beta = options.beta;
  }

  /** -log s(beta u - (beta / k) sum_d v_d). @returns [pairs], nats */
  loss(batch: PreferenceBatch): tf.Tensor1D {
    const { u, v } = logRatios(batch);
    const margin: tf.Tensor1D = tf.mean(tf.sub(u, v), 1);
    return logisticLoss(tf.mul(margin, this.beta));
  }
}
