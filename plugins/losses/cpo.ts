import {
  type BetaOption,
  betaOption,
  column,
  type LabelSmoothingOption,
  labelSmoothingOption,
  logisticLoss,
  meanLogProb,
  meanOverRejected,
  options,
  type PreferenceBatch,
  type PreferenceLoss,
  plugin,
  tf,
} from "rlrf4rec";

interface CpoOptions extends BetaOption, LabelSmoothingOption {
  readonly alpha: number;
  readonly normalise: boolean;
}

const needs = ["lengths"] as const;

@plugin({
  kind: "loss",
  name: "cpo",
  version: "1.0.0",
  summary: "Contrastive preference optimisation: DPO without a reference, kept in place by the chosen text's likelihood",
  source: "Xu et al. 2024, arXiv 2401.08417, eq. 3 and 5",
  pure: true,
  needs,
  options: {
    type: "object",
    properties: {
      beta: { ...betaOption(0.1), description: "Scale of the log-prob margin." },
      labelSmoothing: labelSmoothingOption(0),
      alpha: { type: "number", minimum: 0, default: 1, unit: "weight", description: "Of the chosen text's negative log-likelihood." },
      normalise: {
        type: "boolean",
        default: true,
        description:
          "The negative log-likelihood is the mean over tokens, as in the authors' code and in TRL; false = the sum of the paper's eq. 5.",
      },
    },
  },
})
export class Cpo implements PreferenceLoss {
  readonly needs = needs;
  readonly beta: number;

  constructor(@options() private readonly options: CpoOptions) {
    this.beta = options.beta;
  }

  /** cDPO on lw - ll, plus alpha * NLL_w. @returns [pairs], nats */
  loss({ chosen, rejected }: PreferenceBatch): tf.Tensor1D {
    const margin = tf.mul(tf.sub(column(chosen.logProbs), rejected.logProbs), this.beta); // [pairs, k]
    const logLikelihood = this.options.normalise ? meanLogProb(chosen) : chosen.logProbs; // [pairs]
    return tf.sub(meanOverRejected(logisticLoss(margin, this.options.labelSmoothing)), tf.mul(logLikelihood, this.options.alpha));
  }
}
