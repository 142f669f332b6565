import {
  catalogueOf,
  causalEncoder,
  type EncoderNetwork,
  type FitOptions,
  fitOptions,
  nn,
  type ObjectiveOptions,
  objectiveOptions,
  options,
  type Parameters,
  plugin,
  realOf,
  type SequenceEncoder,
  tf,
  withOne,
} from "rlrf4rec";

export interface MeanOptions extends FitOptions, ObjectiveOptions {
  readonly hidden: number;
  readonly agreement: number;
}

/** s_t = t^-α Σ_{j ≤ t} p_j, score = s_t · q_i + b_i: the history as a bag, what every encoder of order has to beat. */
@plugin({
  kind: "encoder",
  name: "mean",
  version: "1.0.0",
  summary: "The mean of the history's item vectors, their order ignored",
  source: "FISM, Kabbur et al. 2013 (KDD), eq. 3, without a user's bias",
  options: {
    type: "object",
    properties: {
      hidden: { type: "integer", minimum: 1, default: 64, description: "Width of the items' vectors" },
      agreement: {
        ...{ type: "number", minimum: 0, maximum: 1, default: 1 },
        description: "α: 1 = the mean, this framework's choice; 0 = the sum; the paper's best are between .4 and .5",
      },
      ...objectiveOptions("ce", "squared error, or an area under the curve by pairs, which `bpr` smooths"),
      ...fitOptions({ epochs: 200, batchSize: 128, learningRate: 1e-3, weightDecay: 0, patience: 10 }, "encoder"),
    },
  },
})
export class MeanOfHistory implements SequenceEncoder {
  readonly fit: FitOptions;

  constructor(@options() private readonly options: MeanOptions) {
    this.fit = options;
  }

  build(scope: Parameters, { items: count }: { readonly items: number }): EncoderNetwork {
    const { hidden, agreement } = this.options;
    const items = nn.embedding(scope.scope("items"), { count: count + 1, width: hidden });
    const outputs = nn.embedding(scope.scope("outputs"), { count: count + 1, width: hidden + 1 });
    const states = (ids: tf.Tensor2D): tf.Tensor3D => {
      const length = ids.shape[1];
      const real = realOf(ids); // [batch, length]
      const weights = tf.tidy(() => {
        const counts = tf.maximum(tf.cumsum(real, 1), 1); // [batch, length]
        const before = tf.linalg.bandPart(tf.ones([length, length]), -1, 0); // 1 where a column is not after its row
        return tf.div(tf.mul(before, tf.expandDims(real, 1)), tf.expandDims(tf.pow(counts, agreement), 2)) as tf.Tensor3D;
      });
      return withOne(tf.matMul(weights, items(ids) as tf.Tensor3D)); // [batch, length, hidden + 1]
    };
    return causalEncoder({ catalogue: catalogueOf(outputs), width: hidden + 1, states }, this.options);
  }
}
