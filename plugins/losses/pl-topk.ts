import { type BetaOption, betaOption, logRatios, options, type PreferenceBatch, type PreferenceLoss, plugin, tf } from "rlrf4rec";

interface PlTopKOptions extends BetaOption {
  readonly top: number;
}

const needs = ["reference", "listwise", "ranked"] as const;

@plugin({
  kind: "loss",
  name: "pl-topk",
  version: "1.0.0",
  summary: "Plackett-Luce likelihood of the first K places of a ranking of texts",
  source: "Cai et al. 2025, arXiv 2506.00441 (KPO), the top-K Plackett-Luce loss with a fixed K",
  pure: true,
  needs,
  options: {
    type: "object",
    properties: {
      beta: betaOption(1),
      top: { type: "integer", minimum: 1, default: 5, unit: "places", description: "K: the places that count; 1 is s-dpo." },
    },
  },
})
export class PlTopK implements PreferenceLoss {
  readonly needs = needs;
  readonly beta: number;

  constructor(@options() private readonly options: PlTopKOptions) {
    this.beta = options.beta;
  }

  /**
   * -sum_{j <= K} [beta s_j - log sum_{i >= j} exp(beta s_i)], s = u, v_1 … v_k: rejected texts come in the order of preference.
   * @returns [pairs], nats
   */
  loss(batch: PreferenceBatch): tf.Tensor1D {
    const { u, v } = logRatios(batch);
    const scores = tf.mul(tf.concat([u, v], 1), this.beta); // [pairs, 1 + k]
    const [pairs, length] = scores.shape as [number, number];
    const places = Math.min(this.options.top, length - 1); // the last place is certain
    const terms = Array.from({ length: places }, (_, place) => {
      const rest = tf.slice(scores, [0, place], [pairs, length - place]);
      return tf.sub(tf.logSumExp(rest, 1), tf.reshape(tf.slice(scores, [0, place], [pairs, 1]), [pairs]));
    });
    return tf.addN(terms) as tf.Tensor1D;
  }
}
