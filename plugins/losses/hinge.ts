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
  name: "hinge",
  version: "1.0.0",
  summary: "Hinge loss on the margin of implicit rewards: pairs that are far enough apart teach nothing more",
  source: "Zhao et al. 2023, arXiv 2305.10425 (SLiC-HF, there without a reference); Liu et al. 2023, arXiv 2309.06657 (RSO), followed here",
  pure: true,
  needs,
  options: { type: "object", properties: { beta: betaOption(0.05) } },
})
export class Hinge implements PreferenceLoss {
  readonly needs = needs;
  readonly beta: number;

  constructor(@options() options: BetaOption) {
    this.beta = options.beta;
  }

  /** max(0, 1 - beta D), D = u - v. @returns [pairs] */
  loss(batch: PreferenceBatch): tf.Tensor1D {
    const { u, v } = logRatios(batch);
    return meanOverRejected(tf.relu(tf.sub(1, tf.mul(tf.sub(u, v), this.beta))));
  }
}
