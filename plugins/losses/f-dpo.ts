import {
  type BetaOption,
  betaOption,
  logisticLoss,
  logRatios,
  logSigmoid,
  meanOverRejected,
  options,
  type PreferenceBatch,
  type PreferenceLoss,
  plugin,
  powerScore,
  tf,
} from "rlrf4rec";

interface FDpoOptions extends BetaOption {
  readonly divergence: "forward-kl" | "js" | "alpha";
  readonly alpha: number;
}

const needs = ["reference"] as const;

@plugin({
  kind: "loss",
  name: "f-dpo",
  version: "1.0.0",
  summary: "DPO under another divergence from the reference than the reverse KL",
  source: "Wang et al. 2023, arXiv 2309.16240, table 1",
  pure: true,
  needs,
  options: {
    type: "object",
    properties: {
      beta: betaOption(0.1),
      divergence: {
        enum: ["forward-kl", "js", "alpha"],
        default: "js",
        description: "f of x = log pi - log ref: forward KL -exp(-x), Jensen-Shannon log s(x), alpha exp((a - 1) x) / (a - 1).",
      },
      alpha: {
        type: "number",
        exclusiveMinimum: 0,
        exclusiveMaximum: 1,
        default: 0.5,
        description: "a of the alpha divergence: towards 0 the forward KL, towards 1 the reverse KL of DPO.",
      },
    },
  },
})
export class FDpo implements PreferenceLoss {
  readonly needs = needs;
  readonly beta: number;

  constructor(@options() private readonly options: FDpoOptions) {
    this.beta = options.beta;
  }

  /** -log s(beta (f(u) - f(v))); beyond exponents of 30 f is a straight line (TRL cuts its alpha divergence at 88). @returns [pairs], nats */
  loss(batch: PreferenceBatch): tf.Tensor1D {
    const { u, v } = logRatios(batch);
    return meanOverRejected(logisticLoss(tf.mul(tf.sub(this.score(u), this.score(v)), this.beta)));
  }

  /** f up to a constant, which the difference cancels. */
  private score(x: tf.Tensor2D): tf.Tensor2D {
    const { divergence, alpha } = this.options;
    return divergence === "js" ? logSigmoid(x) : powerScore(x, divergence === "alpha" ? alpha - 1 : -1);
  }
}
