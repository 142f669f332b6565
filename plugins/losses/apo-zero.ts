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
  name: "apo-zero",
  version: "1.0.0",
  summary: "Anchored preference optimisation that raises chosen texts and lowers rejected ones: for texts better than the policy's own",
  source: "D'Oosterlinck et al. 2024, arXiv 2408.06266, eq. 7",
  pure: true,
  needs,
  options: { type: "object", properties: { beta: betaOption(0.1) } },
})
export class ApoZero implements PreferenceLoss {
  readonly needs = needs;
  readonly beta: number;

  constructor(@options() options: BetaOption) {
    this.beta = options.beta;
  }

  /** 1 - s(beta u) + s(beta v). @returns [pairs] */
  loss(batch: PreferenceBatch): tf.Tensor1D {
    const { u, v } = logRatios(batch);
    return meanOverRejected(tf.add(tf.sigmoid(tf.mul(u, -this.beta)), tf.sigmoid(tf.mul(v, this.beta))));
  }
}
