import {
  type FitOptions,
  fitOptions,
  type ListObjective,
  listLosses,
  listObjective,
  nn,
  options,
  type Parameters,
  plugin,
  type Reranker,
  type RerankerNetwork,
  type RerankerShape,
  tf,
  widthsOption,
} from "rlrf4rec";

export interface PointwiseOptions extends FitOptions {
  readonly embedding: number;
  readonly mlp: readonly number[];
  readonly dropout: number;
  readonly objective: ListObjective;
}

/** score_i = MLP(x_i), whoever stands beside candidate i: [batch, list, width] -> [batch, list]. */
@plugin({
  kind: "reranker",
  name: "pointwise",
  version: "1.0.0",
  summary: "An MLP over each candidate by itself: what a list's company adds is what others gain over it",
  source:
    "the deep ranking model of Covington et al. 2016 (RecSys), section 4; embedding, MLP, batch size and schedule as those of KAR's rerankers, arXiv 2306.10933",
  options: {
    type: "object",
    properties: {
      embedding: { type: "integer", minimum: 1, default: 32, description: "Width of the learned item-ID embedding" },
      mlp: widthsOption([200, 80], "Hidden widths of the MLP"),
      dropout: { type: "number", minimum: 0, exclusiveMaximum: 1, default: 0.1, description: "Dropout of the MLP" },
      objective: listObjective("bce"),
      ...fitOptions({ epochs: 12, batchSize: 256, learningRate: 1e-3, weightDecay: 1, patience: 4 }, "reranker"),
    },
  },
})
export class Pointwise implements Reranker {
  readonly fit: FitOptions;
  readonly embedding: number;

  constructor(@options() private readonly options: PointwiseOptions) {
    this.fit = options;
    this.embedding = options.embedding;
  }

  build(scope: Parameters, { width }: RerankerShape): RerankerNetwork {
    const { mlp, dropout, objective } = this.options;
    const output = nn.mlp(scope.scope("output"), width, [...mlp, 1], dropout);
    return {
      score: (features, mode) => {
        const [batch, list] = features.shape;
        return tf.reshape(output(tf.reshape(features, [batch * list, width]), mode), [batch, list]);
      },
      loss: listLosses[objective],
    };
  }
}
