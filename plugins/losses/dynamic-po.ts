import {
  type BetaOption,
  betaOption,
  detached,
  logisticLoss,
  logRatios,
  options,
  type PreferenceBatch,
  type PreferenceLoss,
  plugin,
  tf,
} from "rlrf4rec";
import { likeliestCluster } from "./dynamic-po/clusters.js";

interface DynamicPoOptions extends BetaOption {
  readonly margin: number;
  readonly clusters: number;
}

const needs = ["reference", "listwise"] as const;

@plugin({
  kind: "loss",
  name: "dynamic-po",
  version: "1.0.0",
  summary: "DMPO over the rejected texts at the decision boundary alone, each with a beta of its own",
  source: "Hu et al. 2026, arXiv 2605.00327 (DynamicPO), as the authors' code has it for DMPO",
  pure: true,
  needs,
  options: {
    type: "object",
    properties: {
      beta: betaOption(1),
      margin: {
        type: "number",
        minimum: 0,
        default: 6,
        unit: "nats",
        description: "By how much the first margin should exceed the second.",
      },
      clusters: {
        type: "integer",
        minimum: 2,
        default: 3,
        description:
          "Of the rejected texts' log-probs: where none is likelier than the chosen text, the likeliest cluster is the boundary.",
      },
    },
  },
})
export class DynamicPo implements PreferenceLoss {
  readonly needs = needs;
  readonly beta: number;

  constructor(@options() private readonly options: DynamicPoOptions) {
    this.beta = options.beta;
  }

  /**
   * -log s(mean_d beta_d (u - v_d)) over boundary texts d, beta_d = beta (1 + tanh((m1 - m2 - margin) / (|m1| + |m2|)) / 2) without gradient;
   * m1 = lw - l_d, m2 = l_d - the mean log-prob of the other rejected texts. Boundary: l_d >= lw, or else the likeliest cluster.
   * The authors cluster by k-means from a random start; here the clusters are the best ones. @returns [pairs], nats
   */
  loss(batch: PreferenceBatch): tf.Tensor1D {
    const { u, v } = logRatios(batch);
    const [pairs, k] = v.shape;
    const [w, l] = [detached(batch.chosen.logProbs), detached(batch.rejected.logProbs)];
    const weights = Array.from({ length: pairs }, (_, i) => this.weights(w[i] as number, Array.from(l.subarray(i * k, (i + 1) * k))));
    return logisticLoss(tf.sum(tf.mul(tf.sub(u, v), tf.tensor2d(weights, [pairs, k])), 1));
  }

  /** beta_d / (number of boundary texts), 0 for the others. */
  private weights(chosen: number, rejected: readonly number[]): number[] {
    const likelier = rejected.map((logProb) => logProb >= chosen);
    const isBoundary = likelier.includes(true) ? likelier : likeliestCluster(rejected, this.options.clusters);
    const boundary = rejected.filter((_, d) => isBoundary[d]);
    const others = boundary.length < rejected.length ? rejected.filter((_, d) => !isBoundary[d]) : boundary;
    const easy = others.reduce((sum, logProb) => sum + logProb, 0) / others.length;
    return rejected.map((logProb, d) => {
      if (!isBoundary[d]) return 0;
      const [m1, m2] = [chosen - logProb, logProb - easy];
      const ambiguity = (m1 - m2 - this.options.margin) / Math.max(Math.abs(m1) + Math.abs(m2), 1e-12);
      return (this.beta * (1 + Math.tanh(ambiguity) / 2)) / boundary.length;
    });
  }
}
