import {
  type BetaOption,
  betaOption,
  column,
  logRatio,
  meanOverRejected,
  options,
  type PreferenceBatch,
  type PreferenceLoss,
  type PreferenceSide,
  perToken,
  plugin,
  tf,
} from "rlrf4rec";

interface IpoOptions extends BetaOption {
  readonly normalise: boolean;
}

const needs = ["reference", "lengths"] as const;

@plugin({
  kind: "loss",
  name: "ipo",
  version: "1.0.0",
  summary: "Identity preference optimisation: the margin is drawn to a target instead of to infinity",
  source: "Azar et al. 2023, arXiv 2310.12036, eq. 17",
  pure: true,
  needs,
  options: {
    type: "object",
    properties: {
      beta: { ...betaOption(0.1), description: "tau: the target of the margin is 1 / (2 beta)." },
      normalise: {
        type: "boolean",
        default: true,
        description: "Log-ratios are means over tokens, as in the authors' runs and in TRL; false = sums, as torchtune had them.",
      },
    },
  },
})
export class Ipo implements PreferenceLoss {
  readonly needs = needs;
  readonly beta: number;

  constructor(@options() private readonly options: IpoOptions) {
    this.beta = options.beta;
  }

  /** (u / |y_w| - v / |y_l| - 1 / (2 beta))^2. @returns [pairs] */
  loss({ chosen, rejected }: PreferenceBatch): tf.Tensor1D {
    const margin = tf.sub(column(this.score(chosen)), this.score(rejected)); // [pairs, k]
    return meanOverRejected(tf.square(tf.sub(margin, 1 / (2 * this.beta))));
  }

  private score<Shape extends tf.Tensor>(side: PreferenceSide<Shape>): Shape {
    return this.options.normalise ? perToken(logRatio(side), side) : logRatio(side);
  }
}
