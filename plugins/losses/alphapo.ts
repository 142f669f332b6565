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
  type PreferenceSide,
  plugin,
  powerScore,
  tf,
} from "rlrf4rec";

interface AlphaPoOptions extends BetaOption {
  readonly gamma: number;
  readonly alpha: number;
}

const needs = ["lengths"] as const;

@plugin({
  kind: "loss",
  name: "alphapo",
  version: "1.0.0",
  summary: "SimPO with a reward whose shape is a choice: alpha bends it against texts that are already unlikely",
  source: "Gupta et al. 2025, arXiv 2501.03884",
  pure: true,
  needs,
  options: {
    type: "object",
    properties: {
      beta: { ...betaOption(2.5), description: "Scale of the rewards." },
      gamma: { type: "number", minimum: 0, default: 1, description: "Target margin of the scaled rewards." },
      alpha: { type: "number", default: 0.25, description: "Shape of the reward (1 - exp(-alpha a)) / alpha; 0 is SimPO." },
    },
  },
})
export class AlphaPo implements PreferenceLoss {
  readonly needs = needs;
  readonly beta: number;

  constructor(@options() private readonly options: AlphaPoOptions) {
    this.beta = options.beta;
  }

  /** -log s(beta (r(aw) - r(al)) - gamma), r(a) = (1 - exp(-alpha a)) / alpha, a = log pi / |y|; a straight line beyond exponents of 30. @returns [pairs], nats */
  loss({ chosen, rejected }: PreferenceBatch): tf.Tensor1D {
    const margin = tf.sub(column(this.reward(chosen)), this.reward(rejected)); // [pairs, k]
    return meanOverRejected(logisticLoss(tf.sub(tf.mul(margin, this.beta), this.options.gamma)));
  }

  private reward<Shape extends tf.Tensor>(side: PreferenceSide<Shape>): Shape {
    return powerScore(meanLogProb(side), -this.options.alpha);
  }
}
