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
  name: "sppo",
  version: "1.0.0",
  summary: "Self-play preference optimisation with hard labels: log-ratios are drawn to +1/(2 beta) and -1/(2 beta)",
  source: "Wu et al. 2024, arXiv 2405.00675, eq. 4.7, with P = 1 for the chosen text and 0 for the rejected",
  pure: true,
  needs,
  options: {
    type: "object",
    properties: { beta: { ...betaOption(0.001), description: "1 / eta: the targets of the log-ratios are +-1 / (2 beta)." } },
  },
})
export class Sppo implements PreferenceLoss {
  readonly needs = needs;
  readonly beta: number;

  constructor(@options() options: BetaOption) {
    this.beta = options.beta;
  }

  /** (u - 1 / (2 beta))^2 + (v + 1 / (2 beta))^2. @returns [pairs], nats^2 */
  loss(batch: PreferenceBatch): tf.Tensor1D {
    const target = 1 / (2 * this.beta);
    const { u, v } = logRatios(batch);
    return meanOverRejected(tf.add(tf.square(tf.sub(u, target)), tf.square(tf.add(v, target))));
  }
}
