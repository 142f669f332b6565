import {
  type BetaOption,
  betaOption,
  type LabelSmoothingOption,
  labelSmoothingOption,
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

@plugin({
  kind: "loss",
  name: "dpo",
  version: "1.0.0",
  summary: "Direct preference optimisation; with label smoothing, conservative DPO",
  source: "Rafailov et al. 2023, arXiv 2305.18290, eq. 7; Mitchell 2023 (cDPO)",
  pure: true,
  needs,
  options: {
    type: "object",
    properties: {
      beta: betaOption(0.01, "RLRF4Rec's, arXiv 2410.05939; Rafailov et al. take 0.1."),
      labelSmoothing: labelSmoothingOption(0),
    },
  },
})
export class Dpo implements PreferenceLoss {
  readonly needs = needs;
  readonly beta: number;

  constructor(@options() private readonly options: BetaOption & LabelSmoothingOption) {
    this.beta = options.beta;
  }

  /** -(1 - e) log s(beta D) - e log s(-beta D), D = u - v; the mean over rejected texts where there are several. @returns [pairs], nats */
  loss(batch: PreferenceBatch): tf.Tensor1D {
    const { u, v } = logRatios(batch);
    return meanOverRejected(logisticLoss(tf.mul(tf.sub(u, v), this.beta), this.options.labelSmoothing));
  }
}
