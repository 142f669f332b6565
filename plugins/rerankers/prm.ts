import {
  type FitOptions,
  fitOptions,
  headsOption,
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

export interface PrmOptions extends FitOptions {
  readonly embedding: number;
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly inner: number;
  readonly mlp: readonly number[];
  readonly dropout: number;
  readonly positions: boolean;
  readonly objective: ListObjective;
}

/**
 * W x + b of each candidate x, then blocks of norm(h + attention(h)) and norm(h + FFN(h)) over the list; score_i = MLP(h_i).
 * [batch, list, width] -> [batch, list]
 */
@plugin({
  kind: "reranker",
  name: "prm",
  version: "1.0.0",
  summary: "Personalised re-ranking model: a transformer over the candidates of a list",
  source:
    "Pei et al. 2019, arXiv 1904.06813, eqs. 3-7; embedding, MLP, batch size and schedule as in KAR, arXiv 2306.10933, whose public PRM is no transformer: one attention of two heads over the whole input, joined to it, without feed-forward layers or dropout, under `bce`",
  options: {
    type: "object",
    properties: {
      embedding: { type: "integer", minimum: 1, default: 32, description: "Width of the learned item-ID embedding" },
      hidden: { type: "integer", minimum: 1, default: 64, description: "Width of the transformer" },
      layers: { type: "integer", minimum: 0, default: 1, description: "Transformer blocks; the paper's: 4" },
      heads: headsOption(1, "Attention heads; the paper's: 3, though it advises one"),
      inner: { type: "integer", minimum: 1, default: 128, description: "Inner width of the blocks' feed-forward layers" },
      mlp: widthsOption([200, 80], "Hidden widths of the final MLP"),
      dropout: { type: "number", minimum: 0, exclusiveMaximum: 1, default: 0.1, description: "Dropout of blocks and MLP" },
      positions: {
        type: "boolean",
        default: false,
        description:
          "Learned position embeddings: the paper's input is ranked by an earlier model, whose order says something; the protocol's lists are shuffled, so a position says nothing and could only be overfitted",
      },
      objective: listObjective("softmax"),
      ...fitOptions({ epochs: 12, batchSize: 256, learningRate: 1e-3, weightDecay: 1, patience: 4 }, "reranker"),
    },
  },
})
export class Prm implements Reranker {
  readonly fit: FitOptions;
  readonly embedding: number;

  constructor(@options() private readonly options: PrmOptions) {
    this.fit = options;
    this.embedding = options.embedding;
  }

  build(scope: Parameters, shape: RerankerShape): RerankerNetwork {
    const { hidden, layers, heads, inner, mlp, dropout, positions, objective } = this.options;
    const input = nn.dense(scope.scope("input"), { inputs: shape.width, outputs: hidden });
    const order = positions ? scope.create("positions", [shape.list, hidden], nn.truncatedNormal(0.02)) : undefined;
    const blocks = Array.from({ length: layers }, (_, i) =>
      nn.transformerBlock(scope.scope(`block${i}`), { width: hidden, heads, inner, dropout, norm: "post" }),
    );
    const output = nn.mlp(scope.scope("output"), hidden, [...mlp, 1], dropout);
    return {
      score: (features, mode) => {
        const [batch, list, width] = features.shape;
        const embedded = input(tf.reshape(features, [batch * list, width])); // [batch * list, hidden]
        const placed = order ? tf.reshape(tf.add(tf.reshape(embedded, [batch, list, hidden]), order), [batch * list, hidden]) : embedded;
        const seen = blocks.reduce((x, block) => block(x, batch, mode), placed as tf.Tensor2D);
        return tf.reshape(output(seen, mode), [batch, list]);
      },
      loss: listLosses[objective],
    };
  }
}
