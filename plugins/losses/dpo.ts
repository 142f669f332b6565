import { logRatio, options, type PreferenceBatch, type PreferenceLoss, plugin, tf } from "rlrf4rec";

interface DpoOptions {
  readonly beta: number;
  readonly labelSmoothing: number;
}

@plugin({
  kind: "loss",
  name: "dpo",
  version: "1.0.0",
  summary: "Direct preference optimisation; with label smoothing, conservative DPO",
  source: "Rafailov et al. 2023, arXiv 2305.18290, eq. 7; Mitchell 2023 (cDPO)",
  pure: true,
  options: {
    type: "object",
    properties: {
      beta: {
        type: "number",
        exclusiveMinimum: 0,
        default: 0.01,
        unit: "1/nats",
        description: "Scale of the implicit rewards: how strongly the policy is held to the reference.",
      },
      labelSmoothing: {
        type: "number",
        minimum: 0,
        exclusiveMaximum: 0.5,
        default: 0,
        description: "Chance that a pair is the wrong way round.",
      },
    },
  },
})
export class Dpo implements PreferenceLoss {
  readonly needs = ["reference"] as const;
  readonly beta: number;

  constructor(@options() private readonly options: DpoOptions) {
    this.beta = options.beta;
  }

  /** -(1 - e) log s(beta D) - e log s(-beta D), D = u - v; the mean over rejected texts where there are several. @returns [pairs], nats */
  loss({ chosen, rejected }: PreferenceBatch): tf.Tensor1D {
    const u = tf.expandDims(logRatio(chosen), 1); // [pairs, 1]
    const scaled = tf.mul(tf.sub(u, logRatio(rejected)), this.beta); // [pairs, k]
    // -log s(x) = softplus(-x): the engine's logSigmoid has no gradient on intermediate values
    const losses = tf.add(
      tf.mul(tf.softplus(tf.neg(scaled)), 1 - this.options.labelSmoothing),
      tf.mul(tf.softplus(scaled), this.options.labelSmoothing),
    );
    return tf.mean(losses, 1);
  }
}
