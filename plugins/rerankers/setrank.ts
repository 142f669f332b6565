import {
  type FitOptions,
  fitOptions,
  headsOption,
  type ListObjective,
  listLosses,
  listObjective,
  type Mode,
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

export interface SetRankOptions extends FitOptions {
  readonly embedding: number;
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly inner: number;
  readonly induced: number;
  readonly mlp: readonly number[];
  readonly dropout: number;
  readonly positions: boolean;
  readonly objective: ListObjective;
}

@plugin({
  kind: "reranker",
  name: "setrank",
  version: "1.0.0",
  summary: "A set transformer over the candidates, through a few inducing vectors",
  source:
    "Pang et al. 2020, arXiv 1912.05891, eqs. 4-9; embedding, MLP, batch size and schedule as in KAR, arXiv 2306.10933, whose public SetRank has no blocks: one attention of two heads over the whole input, joined to it, without inducing vectors, feed-forward layers or dropout",
  options: {
    type: "object",
    properties: {
      embedding: { type: "integer", minimum: 1, default: 32, description: "Width of the learned item-ID embedding" },
      hidden: { type: "integer", minimum: 1, default: 64, description: "Width of the blocks; the paper's, for documents: 256" },
      layers: { type: "integer", minimum: 0, default: 1, description: "Blocks; the paper's, for long lists: 6" },
      heads: headsOption(1, "Attention heads; the paper's: 8"),
      inner: { type: "integer", minimum: 1, default: 128, description: "Inner width of the blocks' feed-forward layers" },
      induced: {
        ...{ type: "integer", minimum: 0, default: 20, unit: "vectors" },
        description:
          "M: inducing vectors of a block (IMSAB), so that a long list costs no square; 0 = candidates attend to each other (MSAB)",
      },
      mlp: widthsOption([200, 80], "Hidden widths of the final MLP; published: none"),
      dropout: { type: "number", minimum: 0, exclusiveMaximum: 1, default: 0.1, description: "Dropout of blocks and MLP" },
      positions: {
        type: "boolean",
        default: false,
        description: "Ordinal embeddings of an earlier model's ranking: the protocol's lists are shuffled, so a position says nothing",
      },
      objective: listObjective("attention-rank"),
      ...fitOptions({ epochs: 12, batchSize: 256, learningRate: 1e-3, weightDecay: 1, patience: 4 }, "reranker"),
    },
  },
})
export class SetRank implements Reranker {
  readonly fit: FitOptions;
  readonly embedding: number;

  constructor(@options() private readonly options: SetRankOptions) {
    this.fit = options;
    this.embedding = options.embedding;
  }

  build(scope: Parameters, shape: RerankerShape): RerankerNetwork {
    const { hidden, layers, mlp, dropout, positions, objective } = this.options;
    const input = nn.dense(scope.scope("input"), { inputs: shape.width, outputs: hidden });
    const order = positions ? scope.create("positions", [shape.list, hidden], nn.truncatedNormal(0.02)) : undefined;
    const blocks = Array.from({ length: layers }, (_, i) => inducedBlock(scope.scope(`block${i}`), this.options));
    const output = nn.mlp(scope.scope("output"), hidden, [...mlp, 1], dropout);
    return {
      score: (features, mode) => {
        const [batch, list] = features.shape;
        const embedded = input(features); // [batch, list, hidden]
        const placed = tf.reshape(order ? tf.add(embedded, order) : embedded, [batch * list, hidden]) as tf.Tensor2D;
        const seen = blocks.reduce((x, block) => block(x, batch, mode), placed);
        return tf.reshape(output(seen, mode), [batch, list]);
      },
      loss: listLosses[objective],
    };
  }
}

/** IMSAB(X) = MAB(X, MAB(I, X)), I learned; MSAB(X) = MAB(X, X). @returns x [batch * list, hidden], batch, mode -> the same shape */
function inducedBlock(scope: Parameters, options: SetRankOptions) {
  const { induced, hidden } = options;
  const outer = attentionBlock(scope.scope("outer"), options);
  if (induced === 0) return (x: tf.Tensor2D, batch: number, mode: Mode) => outer(x, x, batch, mode);
  const inducing = scope.create("inducing", [induced, hidden], nn.xavierUniform);
  const inner = attentionBlock(scope.scope("inner"), options);
  return (x: tf.Tensor2D, batch: number, mode: Mode): tf.Tensor2D => {
    const each = tf.tile(inducing as tf.Tensor as tf.Tensor2D, [batch, 1]); // [batch * induced, hidden]
    return outer(x, inner(each, x, batch, mode), batch, mode);
  };
}

/** MAB(X, Y) = norm(Z + feed(Z)), Z = norm(X + attention(X to Y)) (Lee et al. 2019, arXiv 1810.00825, eqs. 6-7). */
function attentionBlock(scope: Parameters, { hidden, heads, inner, dropout }: SetRankOptions) {
  const attend = nn.crossAttention(scope.scope("attention"), { width: hidden, heads });
  const feed = nn.mlp(scope.scope("feedForward"), hidden, [inner, hidden], dropout);
  const norms = [nn.layerNorm(scope.scope("attentionNorm"), hidden), nn.layerNorm(scope.scope("feedForwardNorm"), hidden)] as const;
  return (x: tf.Tensor2D, y: tf.Tensor2D, batch: number, mode: Mode): tf.Tensor2D => {
    const attended = norms[0](nn.plus(x, nn.dropout(attend(x, y, batch), dropout, mode)));
    return norms[1](nn.plus(attended, nn.dropout(feed(attended, mode), dropout, mode)));
  };
}
