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

export interface CaserOptions extends FitOptions, ObjectiveOptions {
  readonly hidden: number;
  readonly window: number;
  readonly targets: number;
  readonly horizontal: number;
  readonly vertical: number;
  readonly dropout: number;
}

/** The last L items as an image [L, d]: filters of each height, their largest answer kept, and filters across each column. */
@plugin({
  kind: "encoder",
  name: "caser",
  version: "1.0.0",
  summary: "Convolutional sequence embedding: patterns among the last few items",
  source: "Tang & Wang 2018, arXiv 1809.07426, eqs. 2-11, without the user's own vector: test users are never learnt from",
  options: {
    type: "object",
    properties: {
      hidden: { type: "integer", minimum: 1, default: 50, description: "Width of the items' vectors" },
      window: { type: "integer", minimum: 1, default: 5, unit: "items", description: "L: items looked at" },
      targets: { type: "integer", minimum: 1, default: 3, unit: "items", description: "T: items after the window that it learns to score" },
      horizontal: { type: "integer", minimum: 1, default: 16, description: "Horizontal filters of each height from 1 to `window`" },
      vertical: { type: "integer", minimum: 1, default: 4, description: "Vertical filters" },
      dropout: { type: "number", minimum: 0, exclusiveMaximum: 1, default: 0.5, description: "Dropout of the filters' answers" },
      ...objectiveOptions(
        "bce",
        "`bce` with three `bceNegatives`, of whose terms the authors' code takes the mean; one is this framework's choice",
      ),
      ...fitOptions({ epochs: 200, batchSize: 128, learningRate: 1e-3, weightDecay: 1e-3, patience: 10 }, "encoder"),
    },
  },
})
export class Caser implements SequenceEncoder {
  readonly fit: FitOptions;

  constructor(@options() private readonly options: CaserOptions) {
    this.fit = options;
  }

  build(scope: Parameters, { items: count }: { readonly items: number }): EncoderNetwork {
    const { hidden, window, targets, dropout } = this.options;
    const items = nn.embedding(scope.scope("items"), { count: count + 1, width: hidden });
    const outputs = nn.embedding(scope.scope("outputs"), { count: count + 1, width: hidden + 1 });
    const convolve = filters(scope, this.options);
    const join = nn.dense(scope.scope("join"), { inputs: convolve.width, outputs: hidden, activation: "relu" });
    const states = (ids: tf.Tensor2D, mode: Mode): tf.Tensor3D => {
      const image = tf.mul(items(ids), tf.expandDims(realOf(ids), 2)); // padding is the zero vector, as published
      const padded = tf.pad(image, [
        [0, 0],
        [window - 1, 0],
        [0, 0],
      ]) as tf.Tensor3D; // [batch, window - 1 + length, hidden]
      return withOne(join(nn.dropout(convolve(padded), dropout, mode)));
    };
    const last = (ids: tf.Tensor2D, mode: Mode): tf.Tensor2D => {
      const [batch, length] = ids.shape;
      const all = states(tf.slice(ids, [0, Math.max(0, length - window)], [batch, Math.min(window, length)]), mode);
      return tf.reshape(tf.slice(all, [0, all.shape[1] - 1, 0], [batch, 1, hidden + 1]), [batch, hidden + 1]);
    };
    return causalEncoder({ catalogue: catalogueOf(outputs), width: hidden + 1, states, last }, this.options, targets);
  }
}

/** A window ends at each position; an answer of a filter is computed once, however many windows hold it. */
function filters(scope: Parameters, { hidden, window, horizontal, vertical }: CaserOptions) {
  const heights = Array.from({ length: window }, (_, i) => i + 1);
  const wide = heights.map((height) =>
    nn.dense(scope.scope(`horizontal${height}`), { inputs: height * hidden, outputs: horizontal, activation: "relu" }),
  );
  const tall = scope.create("vertical", [vertical, window], nn.xavierUniform) as tf.Tensor as tf.Tensor2D;
  /** @param padded [batch, window - 1 + length, hidden]; @returns [batch, length, width] */
  const convolve = (padded: tf.Tensor3D): tf.Tensor3D => {
    const batch = padded.shape[0];
    const length = padded.shape[1] - window + 1;
    const shifted = <Of extends tf.Tensor3D>(x: Of, by: number, count: number) => tf.slice(x, [0, by, 0], [batch, count, -1]);
    const maxima = heights.map((height, i) => {
      const places = length + window - height;
      const stacked = tf.concat(
        heights.slice(0, height).map((_, by) => shifted(padded, by, places)),
        2,
      ); // [batch, places, height * hidden]
      const answers = (wide[i] as (typeof wide)[number])(stacked); // [batch, places, horizontal]
      const inWindow = Array.from({ length: window - height + 1 }, (_, by) => shifted(answers, by, length));
      return inWindow.reduce((a, b) => tf.maximum(a, b));
    });
    const rows = tf.stack(heights.map((_, by) => shifted(padded, by, length))); // [window, batch, length, hidden]
    const columns = tf.matMul(tall, tf.reshape(rows, [window, -1])); // [vertical, batch * length * hidden]
    const across = tf.transpose(tf.reshape(columns, [vertical, batch, length, hidden]), [1, 2, 0, 3]);
    return tf.concat([...maxima, tf.reshape(across, [batch, length, vertical * hidden])], 2) as tf.Tensor3D;
  };
  return Object.assign(convolve, { width: window * horizontal + vertical * hidden });
}
