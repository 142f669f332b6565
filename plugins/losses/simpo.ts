import {
  type BetaOption,
  betaOption,
  column,
  logisticLoss,
  meanLogProb,
  meanOverRejected,
  options,
  type PreferenceBatch,
  type PreferenceLoss,
  plugin,
  tf,
} from "rlrf4rec";

interface SimPoOptions extends BetaOption {
  readonly gamma: number;
}

const needs = ["lengths"] as const;

@plugin({
  kind: "loss",
  name: "simpo",
  version: "1.0.0",
  summary: "Simple preference optimisation: mean log-probs of a token, a target margin, no reference",
  source: "Meng et al. 2024, arXiv 2405.14734, eq. 6",
  pure: true,
  needs,
  options: {
    type: "object",
    properties: {
      beta: { ...betaOption(2), description: "Scale of the mean log-probs." },
      gamma: {
        type: "number",
        minimum: 0,
        default: 1,
        description: "Target margin of the scaled rewards (TRL divides its simpo_gamma by beta: the same).",
      },
    },
  },
})
export class SimPo implements PreferenceLoss {
  readonly needs = needs;
  readonly beta: number;

  constructor(@options() private readonly options: SimPoOptions) {
    this.beta = options.beta;
  }

  /** -log s(beta (aw - al) - gamma), a = log pi / |y|. @returns [pairs], nats */
  loss({ chosen, rejected }: PreferenceBatch): tf.Tensor1D {
    const margin = tf.sub(column(meanLogProb(chosen)), meanLogProb(rejected)); // [pairs, k]
    return meanOverRejected(logisticLoss(tf.sub(tf.mul(margin, this.beta), this.options.gamma)));
  }
}
