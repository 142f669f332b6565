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

export interface DlcmOptions extends FitOptions {
  readonly embedding: number;
  readonly abstraction: number;
  readonly hidden: number;
  readonly channels: number;
  readonly dropout: number;
  readonly objective: ListObjective;
}

/** A GRU reads the list from its end, s_n is where it arrives; score_i = V · (o_i · tanh(W s_n + b)), W of `channels` matrices. */
@plugin({
  kind: "reranker",
  name: "dlcm",
  version: "1.0.0",
  summary: "Deep listwise context model: candidates against what a GRU keeps of their list",
  source: `Ai et al. 2018, arXiv 1804.05936, eqs. 3-10; ${nn.gruForm}; embedding, GRU, batch size and schedule as in KAR, arXiv 2306.10933, whose public DLCM reads the list from its front and scores by a softmax of two channels behind batch normalisation, without the layers before the GRU or dropout, under \`bce\``,
  options: {
    type: "object",
    properties: {
      embedding: { type: "integer", minimum: 1, default: 32, description: "Width of the learned item-ID embedding" },
      abstraction: {
        ...{ type: "integer", minimum: 0, default: 64 },
        description: "Width of the two ELU layers whose output joins the features before the GRU (eq. 3); 0 = features alone",
      },
      hidden: { type: "integer", minimum: 1, default: 64, description: "Units of the GRU" },
      channels: { type: "integer", minimum: 1, default: 5, description: "k: ways in which a candidate is compared with its list" },
      dropout: { type: "number", minimum: 0, exclusiveMaximum: 1, default: 0.1, description: "Dropout of the GRU's input" },
      objective: listObjective("attention-rank"),
      ...fitOptions({ epochs: 12, batchSize: 256, learningRate: 1e-3, weightDecay: 1, patience: 4 }, "reranker"),
    },
  },
})
export class Dlcm implements Reranker {
  readonly fit: FitOptions;
  readonly embedding: number;

  constructor(@options() private readonly options: DlcmOptions) {
    this.fit = options;
    this.embedding = options.embedding;
  }

  build(scope: Parameters, { width }: RerankerShape): RerankerNetwork {
    const { abstraction, hidden, channels, dropout, objective } = this.options;
    const layers =
      abstraction === 0
        ? []
        : [width, abstraction].map((inputs, i) => nn.dense(scope.scope(`abstraction${i}`), { inputs, outputs: abstraction }));
    const read = nn.gru(scope.scope("gru"), { inputs: width + abstraction, hidden });
    const context = nn.dense(scope.scope("context"), { inputs: hidden, outputs: channels * hidden }); // W, b
    const weigh = nn.linear(scope.scope("weigh"), { inputs: channels, outputs: 1 }); // V
    return {
      score: (features, mode) => {
        const [batch, list] = features.shape;
        const abstract = layers.reduce((x, layer) => nn.elu(layer(x)), features);
        const input = nn.dropout(abstraction === 0 ? features : tf.concat([features, abstract], 2), dropout, mode);
        const seen = read(tf.reverse(input, 1)); // [batch, list, hidden], the list's first last
        const arrived = tf.reshape(tf.slice(seen, [0, list - 1, 0], [batch, 1, hidden]), [batch, hidden]);
        const views = tf.reshape(tf.tanh(context(arrived)), [batch, channels, hidden]) as tf.Tensor3D;
        const met = tf.matMul(tf.reverse(seen, 1), views, false, true); // [batch, list, channels]
        return tf.reshape(weigh(met), [batch, list]);
      },
      loss: listLosses[objective],
    };
  }
}
