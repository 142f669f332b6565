import {
  type BetaOption,
  betaOption,
  detached,
  logRatio,
  logRatios,
  meanOverRejected,
  options,
  type PreferenceBatch,
  type PreferenceLoss,
  type PreferenceSide,
  plugin,
  tf,
} from "rlrf4rec";

interface KtoOptions extends BetaOption {
  readonly desirableWeight: number;
  readonly undesirableWeight: number;
  readonly each: "pair" | "text";
}

const needs = ["reference", "mismatched"] as const;
const weight = { type: "number", minimum: 0, default: 1, unit: "weight" } as const;

@plugin({
  kind: "loss",
  name: "kto",
  version: "1.1.0",
  summary: "Kahneman-Tversky optimisation: gains of chosen and losses of rejected texts, measured from the policy's KL to the reference",
  source: "Ethayarajh et al. 2024, arXiv 2402.01306, eq. 7 and 8",
  pure: true,
  needs,
  options: {
    type: "object",
    properties: {
      beta: betaOption(0.1),
      desirableWeight: { ...weight, description: "lambda_D, of chosen texts." },
      undesirableWeight: { ...weight, description: "lambda_U, of rejected texts." },
      each: {
        enum: ["pair", "text"],
        default: "pair",
        description:
          "What the batch's mean is over: pairs, a pair's two terms added; or texts, as in the paper and in TRL, which halves the loss of a pair.",
      },
    },
  },
})
export class Kto implements PreferenceLoss {
  readonly needs = needs;
  readonly beta: number;

  constructor(@options() private readonly options: KtoOptions) {
    this.beta = options.beta;
  }

  /**
   * lambda_D (1 - s(beta (u - KL))) + lambda_U (1 - s(beta (KL - v))), KL = max(0, the mean log-ratio of mismatched texts), no gradient.
   * Over texts: (the gain + the sum of the k losses) / (1 + k).
   * @returns [pairs]
   */
  loss(batch: PreferenceBatch): tf.Tensor1D {
    if (batch.mismatched === undefined) throw new Error('"mismatched" is missing from the batch');
    const kl = divergence(batch.mismatched);
    const { u, v } = logRatios(batch);
    const { beta, desirableWeight, undesirableWeight } = this.options;
    const gain = tf.mul(tf.sigmoid(tf.mul(tf.sub(kl, u), beta)), desirableWeight);
    const loss = tf.mul(tf.sigmoid(tf.mul(tf.sub(v, kl), beta)), undesirableWeight);
    if (this.options.each === "pair") return meanOverRejected(tf.add(gain, loss)); // of [pairs, k]
    const texts = 1 + (v.shape[1] ?? 0);
    return tf.div(tf.add(tf.sum(gain, 1), tf.sum(loss, 1)), texts);
  }
}

function divergence(mismatched: PreferenceSide<tf.Tensor1D>): number {
  const ratios = detached(logRatio(mismatched));
  return Math.max(0, ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length);
}
