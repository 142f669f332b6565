import {
  type Catalogue,
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
  realOf,
  type SequenceEncoder,
  tf,
} from "rlrf4rec";

export interface HstuOptions extends FitOptions, ObjectiveOptions {
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly dropout: number;
  readonly temperature: number;
}

@plugin({
  kind: "encoder",
  name: "hstu",
  version: "1.0.0",
  summary: "Hierarchical sequential transduction units: gated attention without a softmax",
  source:
    "Zhai et al. 2024, arXiv 2402.17152, eqs. 1-3; relative positions without times, states and items normalised as in its experiments' code",
  options: {
    type: "object",
    properties: {
      hidden: { type: "integer", minimum: 1, default: 50, description: "Width of items and states" },
      layers: { type: "integer", minimum: 1, default: 2, description: "Units, one over the other" },
      heads: headsOption(1),
      dropout: { type: "number", minimum: 0, exclusiveMaximum: 1, default: 0.2, description: "Dropout of the input and of each unit" },
      temperature: { type: "number", exclusiveMinimum: 0, default: 0.05, description: "Cosines of states and items are divided by it" },
      ...objectiveOptions("ce", "`sampled-softmax`, 128 negatives, drawn for `each`"),
      ...fitOptions({ epochs: 200, batchSize: 128, learningRate: 1e-3, weightDecay: 0, patience: 10 }, "encoder"),
    },
  },
})
export class Hstu implements SequenceEncoder {
  readonly fit: FitOptions;

  constructor(@options() private readonly options: HstuOptions) {
    this.fit = options;
  }

  build(scope: Parameters, { items: count, history }: { readonly items: number; readonly history: number }): EncoderNetwork {
    const { hidden, layers, dropout, temperature } = this.options;
    const items = nn.embedding(scope.scope("items"), { count: count + 1, width: hidden });
    const positions = scope.create("positions", [history, hidden], nn.truncatedNormal(Math.sqrt(1 / hidden)));
    const units = Array.from({ length: layers }, (_, i) => unit(scope.scope(`unit${i}`), history, this.options));
    const states = (ids: tf.Tensor2D, mode: Mode): tf.Tensor3D => {
      const [batch, length] = ids.shape;
      const places = tf.slice(positions, [history - length, 0], [length, hidden]);
      const real = tf.expandDims(realOf(ids), 2); // [batch, length, 1]
      const input = nn.dropout(tf.add(tf.mul(items(ids), Math.sqrt(hidden)), places), dropout, mode);
      const embedded = tf.reshape(tf.mul(input, real), [-1, hidden]) as tf.Tensor2D; // [batch * length, hidden]
      const allowed = tf.tidy(
        () => tf.mul(tf.linalg.bandPart(tf.ones([length, length]), -1, 0), tf.transpose(real, [0, 2, 1])) as tf.Tensor3D,
      );
      const seen = units.reduce((x, each) => each(x, batch, allowed, mode), embedded);
      return tf.div(nn.l2Normalised(tf.reshape(seen, [batch, length, hidden])), temperature);
    };
    return causalEncoder({ catalogue: normalised(items, count), width: hidden, states }, this.options);
  }
}

function normalised(items: nn.Embedding, count: number): Catalogue {
  return {
    items: count,
    all: () => nn.l2Normalised(items.table as tf.Tensor as tf.Tensor2D),
    of: (ids) => nn.l2Normalised(items(ids) as tf.Tensor2D),
  };
}

/**
 * x + f_2(norm(A V) ⊙ U) with U, V, Q, K = silu(f_1(norm(x))) and A = silu(Q Kᵀ + b) / N, b learned for each distance, N = `history`.
 * @returns x [batch * length, hidden], batch, allowed [batch, length, length], mode -> [batch * length, hidden]
 */
function unit(scope: Parameters, history: number, { hidden, heads, dropout }: HstuOptions) {
  const before = nn.layerNorm(scope.scope("norm"), hidden);
  const project = nn.dense(scope.scope("project"), { inputs: hidden, outputs: 4 * hidden });
  const distances = scope.create("distances", [history], nn.truncatedNormal(0.02)) as tf.Tensor as tf.Tensor1D;
  const after = nn.layerNorm(scope.scope("attendedNorm"), hidden);
  const output = nn.dense(scope.scope("output"), { inputs: hidden, outputs: hidden });
  return (x: tf.Tensor2D, batch: number, allowed: tf.Tensor3D, mode: Mode): tf.Tensor2D => {
    const length = x.shape[0] / batch;
    const [u, v, q, k] = tf.split(nn.silu(project(before(x))), 4, 1) as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D, tf.Tensor2D];
    const back = Int32Array.from({ length: length * length }, (_, i) => Math.max(0, Math.floor(i / length) - (i % length)));
    const bias = tf.gather(distances, tf.tensor2d(back, [length, length], "int32")) as tf.Tensor as tf.Tensor2D;
    const split = (part: tf.Tensor2D) => nn.splitHeads(part, batch, heads);
    const attended = nn.joinHeads(nn.pointwiseAttention([split(q), split(k), split(v)], bias, allowed, history));
    return nn.plus(x, output(nn.dropout(tf.mul(after(attended), u) as tf.Tensor2D, dropout, mode)));
  };
}
