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
  name: "nca",
  version: "1.0.0",
  summary: "Noise contrastive alignment for pairs: keeps the likelihood of chosen texts from falling",
  source: "Chen et al. 2024, arXiv 2402.05369 (NCA, for pairs)",
  pure: true,
  needs,
  options: { type: "object", properties: { beta: betaOption(0.01) } },
})
export class Nca implements PreferenceLoss {
  readonly needs = needs;
  readonly beta: number;

  constructor(@options() options: BetaOption) {
    this.beta = options.beta;
  }

  /** -log s(beta u) - 1/2 log s(-beta u) - 1/2 log s(-beta v). @returns [pairs], nats */
  loss(batch: PreferenceBatch): tf.Tensor1D {
    const { u, v } = logRatios(batch);
    const [w, l] = [tf.mul(u, this.beta), tf.mul(v, this.beta)];
    const noise = tf.add(tf.softplus(w), tf.softplus(l)); // [pairs, k]
    return meanOverRejected(tf.add(tf.softplus(tf.neg(w)), tf.mul(noise, 0.5)));
  }
}
