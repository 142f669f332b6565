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

const needs = ["lengths"] as const;

/** A mean log-prob of 0 has infinite odds: it is taken for this, nats. */
const nearestToCertain = -1e-7;

@plugin({
  kind: "loss",
  name: "orpo",
  version: "1.0.0",
  summary: "Odds ratio preference optimisation: likelihood of the chosen text, and its odds against the rejected one's; no reference",
  source: "Hong et al. 2024, arXiv 2403.07691, eq. 6 and 7",
  pure: true,
  needs,
  options: {
    type: "object",
    properties: { beta: { ...betaOption(0.1), unit: "weight", description: "lambda: weight of the odds ratio." } },
  },
})
export class Orpo implements PreferenceLoss {
  readonly needs = needs;
  readonly beta: number;

  constructor(@options() options: BetaOption) {
    this.beta = options.beta;
  }

  /** NLL_w - beta log s(log odds(aw) - log odds(al)), log odds(a) = a - log(1 - exp(a)), NLL_w = -aw, a = log pi / |y|. @returns [pairs], nats */
  loss({ chosen, rejected }: PreferenceBatch): tf.Tensor1D {
    const [aw, al] = [meanLogProb(chosen), meanLogProb(rejected)];
    const ratio = tf.sub(column(logOdds(aw)), logOdds(al)); // [pairs, k]
    return tf.sub(tf.mul(meanOverRejected(logisticLoss(ratio)), this.beta), aw);
  }
}

function logOdds<Shape extends tf.Tensor>(a: Shape): Shape {
  const uncertain = tf.minimum(a, nearestToCertain);
  return tf.sub(uncertain, tf.log(tf.neg(tf.expm1(uncertain))));
}
