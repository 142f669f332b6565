import {
  attentionDropout,
  type CausalModel,
  catalogueOf,
  causalEncoder,
  type EncoderNetwork,
  type FitOptions,
  fitOptions,
  headsOption,
  type Mode,
  nn,
  type ObjectiveOptions,
  objectiveOptions,
  options,
  type Parameters,
  plugin,
  type SequenceEncoder,
  tf,
} from "rlrf4rec";

export interface SasRecOptions extends FitOptions, ObjectiveOptions {
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly dropout: number;
  readonly attentionDropout: number;
}

@plugin({
  kind: "encoder",
  name: "sasrec",
  version: "1.0.0",
  summary: "Self-attentive sequential recommendation, trained on whole sequences",
  source:
    "Kang & McAuley 2018, arXiv 1808.09781, eqs. 1-6; gbce: Petrov & Macdonald 2023, arXiv 2308.07192, eqs. 6-9; the authors' code normalises the queries alone, adds what it attends to onto the normalised input, and has no output projection",
  options: {
    type: "object",
    properties: {
      hidden: { type: "integer", minimum: 1, default: 64, description: "Width of items and states" },
      layers: { type: "integer", minimum: 1, default: 2, description: "Transformer blocks" },
      heads: headsOption(1),
      dropout: { type: "number", minimum: 0, exclusiveMaximum: 1, default: 0.2, description: "Dropout of embeddings and blocks" },
      attentionDropout: attentionDropout("the authors' code takes `dropout` here too (0.5; 0.2 for MovieLens), RecBole 0.5"),
      ...objectiveOptions("ce", "`bce`; gSASRec: `gbce`, its public code with 256 negatives, drawn for `each`"),
      ...fitOptions({ epochs: 200, batchSize: 128, learningRate: 1e-3, weightDecay: 0, patience: 10 }, "encoder"),
    },
  },
})
export class SasRec implements SequenceEncoder {
  readonly fit: FitOptions;

  constructor(@options() private readonly options: SasRecOptions) {
    this.fit = options;
  }

  build(scope: Parameters, shape: { readonly items: number; readonly history: number }): EncoderNetwork {
    return causalEncoder(transformer(scope, shape, this.options), this.options);
  }
}

function transformer(
  scope: Parameters,
  { items: count, history }: { readonly items: number; readonly history: number },
  { hidden, layers, heads, dropout, attentionDropout }: SasRecOptions,
): CausalModel {
  const items = nn.embedding(scope.scope("items"), { count: count + 1, width: hidden });
  const positions = scope.create("positions", [history, hidden], nn.truncatedNormal(0.02));
  const blocks = Array.from({ length: layers }, (_, i) =>
    nn.transformerBlock(scope.scope(`block${i}`), { width: hidden, heads, inner: hidden, dropout, attentionDropout, norm: "pre" }),
  );
  const norm = nn.layerNorm(scope.scope("norm"), hidden);
  return {
    catalogue: catalogueOf(items),
    width: hidden,
    states: (ids: tf.Tensor2D, mode: Mode): tf.Tensor3D => {
      const [batch, length] = ids.shape;
      // Positions are counted from the end, so that a batch of short sequences need not be padded to the longest of all.
      const places = tf.slice(positions, [history - length, 0], [length, hidden]);
      const input = tf.reshape(tf.add(tf.mul(items(ids), Math.sqrt(hidden)), places), [-1, hidden]) as tf.Tensor2D; // [batch * length, hidden]
      const mask = nn.historyMask(ids); // [batch, length, length]
      const seen = blocks.reduce((x, block) => block(x, batch, mode, mask), nn.dropout(input, dropout, mode));
      return tf.reshape(norm(seen), [batch, length, hidden]);
    },
  };
}
