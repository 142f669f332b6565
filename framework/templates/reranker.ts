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
} from "rlrf4rec";

interface TemplateOptions extends FitOptions {
  readonly embedding: number;
  readonly hidden: number;
  readonly objective: ListObjective;
}

@plugin({
  kind: "reranker",
  name: "@team/package/name",
  version: "1.0.0",
  summary: "Each candidate beside the mean of its list",
  source: "score = MLP([x, x - mean of the list])",
  options: {
    type: "object",
    properties: {
      embedding: { type: "integer", minimum: 1, default: 32, description: "Width of the learned item-ID embedding" },
      hidden: { type: "integer", minimum: 1, default: 64, description: "Hidden width of the MLP" },
      objective: listObjective("softmax"),
      ...fitOptions({ epochs: 12, batchSize: 256, learningRate: 1e-3, weightDecay: 0.01, patience: 4 }, "reranker"),
    },
  },
})
export class Template implements Reranker {
  readonly fit: FitOptions;
  readonly embedding: number;

  constructor(@options() private readonly options: TemplateOptions) {
    this.fit = options;
    this.embedding = options.embedding;
  }

  build(scope: Parameters, { width }: RerankerShape): RerankerNetwork {
    const { hidden, objective } = this.options;
    const output = nn.mlp(scope.scope("output"), 2 * width, [hidden, 1], 0);
    return {
      score: (features, mode) => {
        const [batch, list] = features.shape;
        const company = tf.sub(features, tf.mean(features, 1, true)); // [batch, list, width]
        const both = tf.reshape(tf.concat([features, company], 2), [batch * list, 2 * width]);
        return tf.reshape(output(both, mode), [batch, list]);
      },
      loss: listLosses[objective],
    };
  }
}
