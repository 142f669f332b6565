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
  readonly scaled: boolean;
  readonly projected: boolean;
  readonly normalised: boolean;
}

/**
 * Ê = √d M + P of the history's items, then blocks of x + SA(norm(x)) and x + FFN(norm(x)), SA causal: F_t. score_i = m_i · norm(F_t), m_i of
 * the table M that was read; √d, SA's output projection and the last norm as the options say.
 */
@plugin({
  kind: "encoder",
  name: "sasrec",
  version: "1.1.0",
  summary: "Self-attentive sequential recommendation, trained on whole sequences",
  source:
    "Kang & McAuley 2018, arXiv 1808.09781, eqs. 1-6; from the authors' code, not the paper: the factor √d (`scaled`), biases of queries, keys and values, and the closing norm (`normalised`); in neither: the output projection of Vaswani et al. 2017, arXiv 1706.03762 (`projected`); the authors' code alone normalises no keys and values, and adds what is attended to onto the normalised input; gbce: Petrov & Macdonald 2023, arXiv 2308.07192, eqs. 6-9",
  options: {
    type: "object",
    properties: {
      hidden: { type: "integer", minimum: 1, default: 64, description: "Width of items and states" },
      layers: { type: "integer", minimum: 1, default: 2, description: "Transformer blocks" },
      heads: headsOption(1),
      dropout: { type: "number", minimum: 0, exclusiveMaximum: 1, default: 0.2, description: "Dropout of embeddings and blocks" },
      attentionDropout: attentionDropout("the authors' code takes `dropout` here too (0.5; 0.2 for MovieLens), RecBole 0.5"),
      scaled: {
        ...{ type: "boolean", default: true },
        description:
          "Items' vectors are multiplied by √hidden before their positions are added, as in the authors' code; false: as published",
      },
      projected: {
        ...{ type: "boolean", default: true },
        description:
          "What the heads say goes through one more dense layer, as in Vaswani et al. 2017; false: as published, and in the authors' code",
      },
      normalised: {
        ...{ type: "boolean", default: true },
        description: "States are normalised before they meet the items, as in the authors' code; false: as published",
      },
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
  { hidden, layers, heads, dropout, attentionDropout, scaled, projected, normalised }: SasRecOptions,
): CausalModel {
  const items = nn.embedding(scope.scope("items"), { count: count + 1, width: hidden });
  const positions = scope.create("positions", [history, hidden], nn.truncatedNormal(0.02));
  const blocks = Array.from({ length: layers }, (_, i) =>
    nn.transformerBlock(scope.scope(`block${i}`), {
      width: hidden,
      heads,
      inner: hidden,
      dropout,
      attentionDropout,
      projected,
      norm: "pre",
    }),
  );
  const norm = normalised ? nn.layerNorm(scope.scope("norm"), hidden) : (x: tf.Tensor2D) => x;
  return {
    catalogue: catalogueOf(items),
    width: hidden,
    states: (ids: tf.Tensor2D, mode: Mode): tf.Tensor3D => {
      const [batch, length] = ids.shape;
      // Positions are counted from the end, so that a batch of short sequences need not be padded to the longest of all.
      const places = tf.slice(positions, [history - length, 0], [length, hidden]);
      const embedded = scaled ? tf.mul(items(ids), Math.sqrt(hidden)) : items(ids); // [batch, length, hidden]
      const input = tf.reshape(tf.add(embedded, places), [-1, hidden]) as tf.Tensor2D; // [batch * length, hidden]
      const mask = nn.historyMask(ids); // [batch, length, length]
      const seen = blocks.reduce((x, block) => block(x, batch, mode, mask), nn.dropout(input, dropout, mode));
      return tf.reshape(norm(seen), [batch, length, hidden]);
    },
  };
}
