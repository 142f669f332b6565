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

interface DiscoPopOptions extends BetaOption {
  readonly temperature: number;
}

const needs = ["reference"] as const;

@plugin({
  kind: "loss",
  name: "discopop",
  version: "1.0.0",
  summary: "Log-ratio modulated loss, found by a language model: logistic for wrong pairs, exponential for right ones",
  source: "Lu et al. 2024, arXiv 2406.08414, eq. 5 (DiscoPOP)",
  pure: true,
  needs,
  options: {
    type: "object",
    properties: {
      beta: betaOption(0.05),
      temperature: {
        type: "number",
        exclusiveMinimum: 0,
        exclusiveMaximum: 1,
        default: 0.05,
        description: "tau: how sharply the loss goes over from logistic to exponential at z = 0.",
      },
    },
  },
})
export class DiscoPop implements PreferenceLoss {
  readonly needs = needs;
  readonly beta: number;

  constructor(@options() private readonly options: DiscoPopOptions) {
    this.beta = options.beta;
  }

  /** (1 - m)(-log s(z)) + m exp(-z), z = beta D, m = s(z / tau). @returns [pairs], nats */
  loss(batch: PreferenceBatch): tf.Tensor1D {
    const { u, v } = logRatios(batch);
    const z = tf.mul(tf.sub(u, v), this.beta); // [pairs, k]
    const steep = tf.div(z, this.options.temperature);
    const logistic = tf.mul(tf.sigmoid(tf.neg(steep)), tf.softplus(tf.neg(z)));
    // m exp(-z) = exp(log m - z): as a product it would be 0 * infinity far below 0
    const exponential = tf.exp(tf.sub(tf.neg(tf.softplus(tf.neg(steep))), z));
    return meanOverRejected(tf.add(logistic, exponential));
  }
}
