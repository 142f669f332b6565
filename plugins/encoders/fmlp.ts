import {
  catalogueOf,
  type EncoderNetwork,
  type FitOptions,
  fitOptions,
  historyEncoder,
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

export interface FmlpOptions extends FitOptions, ObjectiveOptions {
  readonly hidden: number;
  readonly layers: number;
  readonly inner: number;
  readonly dropout: number;
  readonly targets: number;
}

@plugin({
  kind: "encoder",
  name: "fmlp",
  version: "1.0.0",
  summary: "Filter-enhanced MLP: learned filters of the history's frequencies",
  source: "Zhou et al. 2022, arXiv 2202.13556, eqs. 4-9",
  options: {
    type: "object",
    properties: {
      hidden: { type: "integer", minimum: 1, default: 64, description: "Width of items and states" },
      layers: { type: "integer", minimum: 1, default: 2, description: "Blocks of a filter and a feed-forward layer" },
      inner: { type: "integer", minimum: 1, default: 4, unit: "hidden", description: "Inner width of the feed-forward layers, in widths" },
      dropout: { type: "number", minimum: 0, exclusiveMaximum: 1, default: 0.5, description: "Dropout of the embedding and in each block" },
      targets: {
        ...{ type: "integer", minimum: 1, default: 4, unit: "items" },
        description:
          "Next items learnt of each sequence a step, drawn anew: a filter sees all of its history, so each history is computed by itself (the authors' code learns every one, every epoch)",
      },
      ...objectiveOptions(
        "bpr",
        "a pairwise ranking loss, eq. 9, which is `bpr` with one negative, drawn for `each`; the authors' code: `bce`; 128 for all are this framework's choice",
      ),
      ...fitOptions({ epochs: 200, batchSize: 64, learningRate: 1e-3, weightDecay: 0, patience: 10 }, "encoder", { batchSize: 256 }),
    },
  },
})
export class FilterMlp implements SequenceEncoder {
  readonly fit: FitOptions;

  constructor(@options() private readonly options: FmlpOptions) {
    this.fit = options;
  }

  build(scope: Parameters, { items: count, history }: { readonly items: number; readonly history: number }): EncoderNetwork {
    const { hidden, layers, dropout, targets } = this.options;
    const items = nn.embedding(scope.scope("items"), { count: count + 1, width: hidden });
    const positions = scope.create("positions", [history, hidden], nn.truncatedNormal(0.02));
    const norm = nn.layerNorm(scope.scope("norm"), hidden);
    const blocks = Array.from({ length: layers }, (_, i) => filterBlock(scope.scope(`block${i}`), history, this.options));
    const state = (ids: tf.Tensor2D, mode: Mode): tf.Tensor2D => {
      const [batch, length] = ids.shape;
      // Time comes first, so that a Fourier transform of all histories and units is one matrix product.
      const inTime = tf.transpose(
        tf.pad(ids, [
          [0, 0],
          [history - length, 0],
        ]),
      ); // [history, batch]
      const embedded = tf.add(items(inTime), tf.expandDims(positions, 1)); // [history, batch, hidden]
      const input = nn.dropout(norm(tf.reshape(embedded, [history * batch, hidden]) as tf.Tensor2D), dropout, mode);
      const seen = blocks.reduce((x, block) => block(x, mode), input); // [history * batch, hidden]
      return tf.slice(seen, [(history - 1) * batch, 0], [batch, hidden]);
    };
    return historyEncoder({ catalogue: catalogueOf(items), width: hidden, length: history, state }, this.options, targets);
  }
}

/** Two sublayers, each norm(x + dropout(f(x))): F⁻¹(W ⊙ F(x)) with a learned complex W for each frequency and unit; then two dense layers. */
function filterBlock(scope: Parameters, length: number, { hidden, inner, dropout }: FmlpOptions) {
  const filter = frequencyFilter(scope.scope("filter"), length, hidden);
  const filterNorm = nn.layerNorm(scope.scope("filterNorm"), hidden);
  const feed = nn.mlp(scope.scope("feedForward"), hidden, [inner * hidden, hidden], 0, "gelu");
  const feedNorm = nn.layerNorm(scope.scope("feedForwardNorm"), hidden);
  return (x: tf.Tensor2D, mode: Mode): tf.Tensor2D => {
    const filtered = filterNorm(nn.plus(x, nn.dropout(filter(x), dropout, mode)));
    return feedNorm(nn.plus(filtered, nn.dropout(feed(filtered, mode), dropout, mode)));
  };
}

/** @returns x [length * batch, hidden] -> the same shape */
function frequencyFilter(scope: Parameters, length: number, hidden: number) {
  const frequencies = Math.floor(length / 2) + 1;
  const real = scope.create("real", [frequencies, 1, hidden], nn.truncatedNormal(0.02));
  const imaginary = scope.create("imaginary", [frequencies, 1, hidden], nn.truncatedNormal(0.02));
  const [forward, backward] = fourier(length);
  return (x: tf.Tensor2D): tf.Tensor2D => {
    const batch = x.shape[0] / length;
    const spectrum = tf.matMul(tf.tensor2d(forward, [2 * frequencies, length]), tf.reshape(x, [length, batch * hidden]));
    const [a, b] = tf.split(tf.reshape(spectrum, [2 * frequencies, batch, hidden]), 2) as [tf.Tensor, tf.Tensor];
    const parts = [tf.sub(tf.mul(a, real), tf.mul(b, imaginary)), tf.add(tf.mul(a, imaginary), tf.mul(b, real))];
    const filtered = tf.reshape(tf.concat(parts, 0), [2 * frequencies, batch * hidden]) as tf.Tensor2D;
    return tf.reshape(tf.matMul(tf.tensor2d(backward, [length, 2 * frequencies]), filtered), [length * batch, hidden]);
  };
}

/** The orthonormal discrete Fourier transform of real sequences as matrices: real parts above imaginary ones, and back. */
function fourier(length: number): [forward: Float32Array, backward: Float32Array] {
  const frequencies = Math.floor(length / 2) + 1;
  const forward = new Float32Array(2 * frequencies * length);
  const backward = new Float32Array(2 * frequencies * length);
  for (let k = 0; k < frequencies; k++)
    for (let n = 0; n < length; n++) {
      const angle = (2 * Math.PI * ((k * n) % length)) / length;
      const [cosine, sine] = [Math.cos(angle) / Math.sqrt(length), Math.sin(angle) / Math.sqrt(length)];
      const mirrored = k === 0 || 2 * k === length ? 1 : 2; // a frequency stands for its mirror image too
      forward[k * length + n] = cosine;
      forward[(frequencies + k) * length + n] = -sine;
      backward[n * 2 * frequencies + k] = mirrored * cosine;
      backward[n * 2 * frequencies + frequencies + k] = -mirrored * sine;
    }
  return [forward, backward];
}
