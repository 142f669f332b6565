import {
  type BetaOption,
  betaOption,
  column,
  type LossNeed,
  logRatios,
  meanOverRejected,
  options,
  type PreferenceBatch,
  type PreferenceLoss,
  plugin,
  tf,
} from "rlrf4rec";

interface HingeOptions extends BetaOption {
  readonly reference: boolean;
}

@plugin({
  kind: "loss",
  name: "hinge",
  version: "1.1.0",
  summary: "Hinge loss on the margin of implicit rewards: pairs that are far enough apart teach nothing more",
  source: "Liu et al. 2023, arXiv 2309.06657 (RSO); without the reference: Zhao et al. 2023, arXiv 2305.10425, eq. 4 (SLiC-HF)",
  pure: true,
  needs: ["reference"],
  options: {
    type: "object",
    properties: {
      beta: betaOption(0.05),
      reference: {
        type: "boolean",
        default: true,
        description:
          "Log-probs are measured from the reference's, as in RSO and TRL; false: they themselves, as in SLiC-HF, whose margin is 1 / beta.",
      },
    },
  },
})
export class Hinge implements PreferenceLoss {
  readonly needs: readonly LossNeed[];
  readonly beta: number;

  constructor(@options() private readonly options: HingeOptions) {
    this.beta = options.beta;
    this.needs = options.reference ? ["reference"] : [];
  }

  /** max(0, 1 - beta D), D = u - v, or lw - ll without the reference. @returns [pairs] */
  loss(batch: PreferenceBatch): tf.Tensor1D {
    const { chosen, rejected } = batch;
    const { u, v } = this.options.reference ? logRatios(batch) : { u: column(chosen.logProbs), v: rejected.logProbs };
    return meanOverRejected(tf.relu(tf.sub(1, tf.mul(tf.sub(u, v), this.beta))));
  }
}
