import {
  type BetaOption,
  betaOption,
  column,
  detached,
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

interface AotOptions extends BetaOption, LabelSmoothingOption {
  readonly unpaired: boolean;
}

const needs = ["reference", "batch"] as const;

@plugin({
  kind: "loss",
  name: "aot",
  version: "1.0.0",
  summary:
    "Alignment via optimal transport: the sorted margins of a batch (alignment.batchSize pairs) dominate the reference's, quantile by quantile",
  source: "Melnyk et al. 2024, arXiv 2406.05882 (paired and unpaired AOT)",
  pure: true,
  needs,
  options: {
    type: "object",
    properties: {
      beta: betaOption(0.1),
      labelSmoothing: labelSmoothingOption(0),
      unpaired: {
        type: "boolean",
        default: false,
        description:
          "Compare the sorted log-ratios of chosen and of rejected texts, instead of the policy's sorted margins with the reference's.",
      },
    },
  },
})
export class Aot implements PreferenceLoss {
  readonly needs = needs;
  readonly beta: number;

  constructor(@options() private readonly options: AotOptions) {
    this.beta = options.beta;
  }

  /**
   * cDPO on sort(lw - ll) - sort(refw - refl), or on sort(u) - sort(v), each sorted over the batch.
   * @returns [pairs], the smallest quantile first: an entry belongs to no pair, only their mean to the batch; nats
   */
  loss(batch: PreferenceBatch): tf.Tensor1D {
    const delta = this.options.unpaired ? this.unpaired(batch) : this.paired(batch); // [pairs, k]
    return meanOverRejected(logisticLoss(tf.mul(delta, this.beta), this.options.labelSmoothing));
  }

  private paired({ chosen, rejected }: PreferenceBatch): tf.Tensor2D {
    if (chosen.reference === undefined || rejected.reference === undefined) throw new Error('"reference" is missing from the batch');
    const margins = tf.sub<tf.Tensor2D>(column(chosen.logProbs), rejected.logProbs);
    const before = tf.sub<tf.Tensor2D>(column(chosen.reference), rejected.reference);
    return tf.sub(sortedOverBatch(margins), sortedOverBatch(before));
  }

  private unpaired(batch: PreferenceBatch): tf.Tensor2D {
    const { u, v } = logRatios(batch);
    return tf.sub(sortedOverBatch(u), sortedOverBatch(v));
  }
}

/** Each column of [pairs, k] sorted upwards; the gradient goes back to where a value came from (the engine's own sort has none). */
function sortedOverBatch(x: tf.Tensor2D): tf.Tensor2D {
  const [pairs, k] = x.shape;
  const values = detached(x);
  const order = new Int32Array(pairs * k);
  for (let j = 0; j < k; j++) {
    const rows = Array.from({ length: pairs }, (_, row) => row * k + j);
    rows.sort((a, b) => (values[a] as number) - (values[b] as number));
    for (const [row, from] of rows.entries()) order[row * k + j] = from;
  }
  return tf.reshape(tf.gather(tf.reshape(x, [pairs * k]), tf.tensor1d(order, "int32")), [pairs, k]);
}
