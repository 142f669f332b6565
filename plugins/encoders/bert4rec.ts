import {
  attentionDropout,
  type Batch,
  batchOf,
  type Catalogue,
  createRng,
  type EncoderNetwork,
  type FitOptions,
  fitOptions,
  headsOption,
  type Mode,
  nn,
  options,
  type Parameters,
  plugin,
  type SequenceEncoder,
  stateFeatures,
  tf,
  withOne,
} from "rlrf4rec";

export interface Bert4RecOptions extends FitOptions {
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly dropout: number;
  readonly attentionDropout: number;
  readonly masked: number;
  readonly lastOnly: number;
}

@plugin({
  kind: "encoder",
  name: "bert4rec",
  version: "1.0.0",
  summary: "A bidirectional transformer that fills in masked items",
  source:
    "Sun et al. 2019, arXiv 1904.06690, eqs. 1-8; the sum of an item and its position is normalised, as in the authors' code, which is BERT's (the paper: h⁰ = v + p); that code also normalises the head's output, and drops of the feed-forward layers at their end alone",
  options: {
    type: "object",
    properties: {
      hidden: { type: "integer", minimum: 1, default: 64, description: "Width of items and states" },
      layers: { type: "integer", minimum: 1, default: 2, description: "Transformer blocks" },
      heads: headsOption(2),
      dropout: { type: "number", minimum: 0, exclusiveMaximum: 1, default: 0.1, description: "Dropout of embeddings and blocks" },
      attentionDropout: attentionDropout("the authors' code and RecBole take 0.2"),
      masked: {
        ...{ type: "number", exclusiveMinimum: 0, maximum: 1, default: 0.2 },
        description: "ρ: share of a sequence's items that are masked; the paper takes .2 for MovieLens, .4 for Steam, .6 for Beauty",
      },
      lastOnly: {
        ...{ type: "number", minimum: 0, maximum: 1, default: 0.1 },
        description:
          "Share of the sequences that are masked at their last item alone, as a history is when it is asked what comes next (the authors' code: one in eleven)",
      },
      ...fitOptions({ epochs: 400, batchSize: 128, learningRate: 1e-3, weightDecay: 0.01, patience: 25 }, "encoder", {
        batchSize: 256,
        learningRate: 1e-4,
      }),
    },
  },
})
export class Bert4Rec implements SequenceEncoder {
  readonly fit: FitOptions;

  constructor(@options() private readonly options: Bert4RecOptions) {
    this.fit = options;
  }

  build(scope: Parameters, shape: { readonly items: number; readonly history: number }): EncoderNetwork {
    const { hidden } = this.options;
    const { catalogue, states, mask } = transformer(scope, shape, this.options);
    /** The masked next item's. */
    const state = (history: tf.Tensor2D, mode: Mode): tf.Tensor2D => {
      const [batch, length] = history.shape;
      const ids = tf.concat([history, tf.fill([batch, 1], mask, "int32")], 1) as tf.Tensor2D;
      return states(
        ids,
        Int32Array.from({ length: batch }, (_, row) => (row + 1) * (length + 1) - 1),
        mode,
      );
    };
    return {
      width: hidden + 2, // state and items end with what makes the items' biases; and their sum
      loss: (sequences, mode) => {
        const { ids, places, targets } = masked(batchOf(sequences), mask, mode, this.options);
        const all = tf.slice(catalogue.all(), [1, 0], [shape.items, hidden + 1]); // without padding
        return nn.catalogueCrossEntropy(
          states(tf.tensor2d(ids, sequences.shape, "int32"), places, mode),
          all,
          targets.map((item) => item - 1),
        );
      },
      features: (history, candidates, mode) => stateFeatures(state(history, mode), candidates, catalogue),
      scores: (history) => tf.matMul(state(history, nn.evaluating), catalogue.all(), false, true),
    };
  }
}

/** Items, the mask as one more of them, learned positions, and the head GELU(h W + b) Eᵀ + b_items. */
function transformer(
  scope: Parameters,
  { items: count, history }: { readonly items: number; readonly history: number },
  { hidden, layers, heads, dropout, attentionDropout }: Bert4RecOptions,
) {
  const items = nn.embedding(scope.scope("items"), { count: count + 2, width: hidden });
  const biases = scope.create("biases", [count + 1, 1], nn.zeros);
  const positions = scope.create("positions", [history + 1, hidden], nn.truncatedNormal(0.02));
  const norm = nn.layerNorm(scope.scope("norm"), hidden);
  const blocks = Array.from({ length: layers }, (_, i) =>
    nn.transformerBlock(scope.scope(`block${i}`), {
      width: hidden,
      heads,
      inner: 4 * hidden,
      dropout,
      attentionDropout,
      norm: "post",
      activation: "gelu",
    }),
  );
  const head = nn.dense(scope.scope("head"), { inputs: hidden, outputs: hidden, activation: "gelu" });
  const all = () => tf.concat([tf.slice(items.table, [0, 0], [count + 1, hidden]), biases], 1) as tf.Tensor2D;
  const catalogue: Catalogue = { items: count, all, of: (ids) => tf.concat([items(ids), tf.gather(biases, ids)], 1) as tf.Tensor2D };
  /** @param ids [batch, length]; @param places where states are wanted, in [batch * length]; @returns [places, hidden + 1] */
  const states = (ids: tf.Tensor2D, places: Int32Array, mode: Mode): tf.Tensor2D => {
    const [batch, length] = ids.shape;
    const order = tf.slice(positions, [history + 1 - length, 0], [length, hidden]);
    const embedded = norm(tf.reshape(tf.add(items(ids), order), [batch * length, hidden]) as tf.Tensor2D);
    const hidePadding = nn.paddingMask(ids);
    const seen = blocks.reduce((x, block) => block(x, batch, mode, hidePadding), nn.dropout(embedded, dropout, mode));
    return withOne(head(tf.gather(seen, tf.tensor1d(places, "int32"))));
  };
  return { catalogue, states, mask: count + 1 };
}

/** Replaces some items of each sequence by the mask, at least one. @returns where, in [size * width], and what stood there */
function masked(
  { size, width, ids: original }: Batch,
  mask: number,
  mode: Mode,
  { masked, lastOnly }: Bert4RecOptions,
): { readonly ids: Int32Array; readonly places: Int32Array; readonly targets: Int32Array } {
  const rng = createRng("masks", mode.nextSeed());
  const ids = Int32Array.from(original);
  const places: number[] = [];
  for (let row = 0; row < size; row++) {
    const real = Array.from({ length: width }, (_, i) => row * width + i).filter((at) => original[at] !== 0);
    const chosen = rng.uniform() < lastOnly ? [] : real.filter(() => rng.uniform() < masked);
    for (const at of chosen.length > 0 ? chosen : real.slice(-1)) {
      ids[at] = mask;
      places.push(at);
    }
  }
  const at = Int32Array.from(places);
  return { ids, places: at, targets: at.map((place) => original[place] as number) };
}
