import {
  catalogueOf,
  causalEncoder,
  type EncoderNetwork,
  type FitOptions,
  fitOptions,
  type Mode,
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

export interface Gru4RecOptions extends FitOptions, ObjectiveOptions {
  readonly embedding: number;
  readonly hidden: number;
  readonly layers: number;
  readonly dropout: number;
  readonly tied: boolean;
}

/** h_t = GRU(e_t, h_{t-1}), layer over layer; score_i = e_i · (W h_t + b), e the vectors that were read, or, not `tied`, o_i · h_t + b_i. */
@plugin({
  kind: "encoder",
  name: "gru4rec",
  version: "1.0.0",
  summary: "Gated recurrent units over the history, trained on whole sequences",
  source: `Hidasi et al. 2016, arXiv 1511.06939, section 3; sequences instead of session-parallel batches; ${nn.gruForm}`,
  options: {
    type: "object",
    properties: {
      embedding: {
        type: "integer",
        minimum: 1,
        default: 64,
        description: "Width of the items' vectors; the paper's one-hot input is one as wide as the gates",
      },
      hidden: { type: "integer", minimum: 1, default: 100, description: "Units of a layer" },
      layers: { type: "integer", minimum: 1, default: 1, description: "Layers, one over the other" },
      dropout: {
        type: "number",
        minimum: 0,
        exclusiveMaximum: 1,
        default: 0.3,
        description: "Dropout of the items' vectors and between layers",
      },
      tied: {
        type: "boolean",
        default: true,
        description:
          "The state, brought to the items' width by a dense layer, is scored against the vectors that were read (the authors' later `constrained embedding`); false: against vectors and biases of their own, as published; the default is this framework's choice",
      },
      ...objectiveOptions("ce", "`top1` and `bpr`, drawn `in-batch`; cross-entropy is tried too"),
      ...fitOptions({ epochs: 200, batchSize: 128, learningRate: 1e-3, weightDecay: 0, patience: 10 }, "encoder"),
    },
  },
})
export class Gru4Rec implements SequenceEncoder {
  readonly fit: FitOptions;

  constructor(@options() private readonly options: Gru4RecOptions) {
    this.fit = options;
  }

  build(scope: Parameters, { items: count }: { readonly items: number }): EncoderNetwork {
    const { embedding, hidden, layers, dropout, tied } = this.options;
    const items = nn.embedding(scope.scope("items"), { count: count + 1, width: embedding });
    const stack = Array.from({ length: layers }, (_, i) =>
      nn.gru(scope.scope(`layer${i}`), { inputs: i === 0 ? embedding : hidden, hidden }),
    );
    const seen = (ids: tf.Tensor2D, mode: Mode): tf.Tensor3D => {
      const real = realOf(ids);
      return stack.reduce((x, layer) => layer(nn.dropout(x, dropout, mode), real), items(ids) as tf.Tensor3D); // [batch, length, hidden]
    };
    if (!tied) {
      const outputs = nn.embedding(scope.scope("outputs"), { count: count + 1, width: hidden + 1 });
      const states = (ids: tf.Tensor2D, mode: Mode) => withOne(seen(ids, mode));
      return causalEncoder({ catalogue: catalogueOf(outputs), width: hidden + 1, states }, this.options);
    }
    const output = nn.dense(scope.scope("output"), { inputs: hidden, outputs: embedding });
    const states = (ids: tf.Tensor2D, mode: Mode) => output(seen(ids, mode));
    return causalEncoder({ catalogue: catalogueOf(items), width: embedding, states }, this.options);
  }
}
