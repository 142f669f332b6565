import {
  type BetaOption,
  betaOption,
  column,
  type LabelSmoothingOption,
  labelSmoothingOption,
  logisticLoss,
  logProbOfTokens,
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
  readonly each: "text" | "token";
}

const needs = ["lengths"] as const;

@plugin({
  kind: "loss",
  name: "cpo",
  version: "1.1.0",
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
          "The negative log-likelihood is a mean over tokens, as in the authors' code and in TRL; false = the sum of the paper's eq. 5.",
      },
      each: {
        enum: ["text", "token"],
        default: "text",
        description:
          "What weighs the same in that mean: every text of a batch, which is this framework's choice, or every token, as in the authors' code and in TRL.",
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

  /** cDPO on lw - ll, plus alpha * NLL_w, NLL_w = -lw / |y_w|, by token -lw over the batch's mean length, or -lw. @returns [pairs], nats */
  loss({ chosen, rejected }: PreferenceBatch): tf.Tensor1D {
    const { labelSmoothing, alpha, normalise, each } = this.options;
    const margin = tf.mul(tf.sub(column(chosen.logProbs), rejected.logProbs), this.beta); // [pairs, k]
    const logLikelihood = normalise ? logProbOfTokens(chosen, each) : chosen.logProbs; // [pairs]
    return tf.sub(meanOverRejected(logisticLoss(margin, labelSmoothing)), tf.mul(logLikelihood, alpha));
  }
}
