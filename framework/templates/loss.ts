import {
  type BetaOption,
  betaOption,
  logisticLoss,
  logRatios,
  meanOverRejected,
  options,
  type PreferenceBatch,
  type PreferenceLoss,
  plugin,
  tf,
} from "rlrf4rec";

const needs = ["reference"] as const;

interface TemplateOptions extends BetaOption {
  readonly margin: number;
}

@plugin({
  kind: "loss",
  name: "@team/package/name",
  version: "1.0.0",
  summary: "Direct preference optimisation with a margin",
  source: "Rafailov et al. 2023, arXiv 2305.18290, eq. 7, with a constant margin inside the sigmoid",
  pure: true,
  needs,
  options: {
    type: "object",
    properties: {
      beta: betaOption(0.1),
      margin: { type: "number", minimum: 0, default: 0, unit: "nats", description: "By how much the chosen text should lead" },
    },
  },
})
export class Template implements PreferenceLoss {
  readonly needs = needs;
  readonly beta: number;

  constructor(@options() private readonly options: TemplateOptions) {
    this.beta = options.beta;
  }

  /** -log s(beta (u - v) - margin), the mean over rejected texts where there are several. @returns [pairs], nats */
  loss(batch: PreferenceBatch): tf.Tensor1D {
    const { u, v } = logRatios(batch);
    return meanOverRejected(logisticLoss(tf.sub(tf.mul(tf.sub(u, v), this.beta), this.options.margin)));
  }
}
