import {
  type BetaOption,
  betaOption,
  type LabelSmoothingOption,
  labelSmoothingOption,
  logRatios,
  logSigmoid,
  meanOverRejected,
  options,
  type PreferenceBatch,
  type PreferenceLoss,
  plugin,
  tf,
} from "rlrf4rec";

const needs = ["reference"] as const;
const { minimum: _, ...smoothing } = labelSmoothingOption(1e-3);

@plugin({
  kind: "loss",
  name: "exo",
  version: "1.0.0",
  summary: "Efficient exact optimisation: the reverse KL from the policy's preference to the smoothed label",
  source: "Ji et al. 2024, arXiv 2402.00856, eq. 16 (EXO-pref, K = 2)",
  pure: true,
  needs,
  options: {
    type: "object",
    properties: { beta: betaOption(0.1), labelSmoothing: { ...smoothing, exclusiveMinimum: 0 } },
  },
})
export class Exo implements PreferenceLoss {
  readonly needs = needs;
  readonly beta: number;

  constructor(@options() private readonly options: BetaOption & LabelSmoothingOption) {
    this.beta = options.beta;
  }

  /** q [log q - log(1 - e)] + (1 - q) [log(1 - q) - log e], q = s(beta D), D = u - v. @returns [pairs], nats */
  loss(batch: PreferenceBatch): tf.Tensor1D {
    const { u, v } = logRatios(batch);
    const x = tf.mul(tf.sub(u, v), this.beta); // [pairs, k]
    const side = (x: tf.Tensor, label: number) => tf.mul(tf.sigmoid(x), tf.sub(logSigmoid(x), Math.log(label)));
    return meanOverRejected(tf.add(side(x, 1 - this.options.labelSmoothing), side(tf.neg(x), this.options.labelSmoothing)));
  }
}
