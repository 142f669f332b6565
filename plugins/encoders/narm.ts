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
} from "rlrf4rec";

export interface NarmOptions extends FitOptions, ObjectiveOptions {
  readonly embedding: number;
  readonly hidden: number;
  readonly dropout: number;
  readonly contextDropout: number;
}

/** c_t = [h_t; Σ_j α_tj h_j], α_tj = v · σ(A_1 h_t + A_2 h_j) (not normalised), score = emb_i B c_t. */
@plugin({
  kind: "encoder",
  name: "narm",
  version: "1.0.0",
  summary: "Neural attentive recommendation machine: where a GRU ended, and what it attends to on the way",
  source: `Li et al. 2017, arXiv 1711.04725, eqs. 5-12; ${nn.gruForm}`,
  options: {
    type: "object",
    properties: {
      embedding: { type: "integer", minimum: 1, default: 50, description: "Width of the items' vectors" },
      hidden: { type: "integer", minimum: 1, default: 100, description: "Units of the GRU" },
      dropout: { type: "number", minimum: 0, exclusiveMaximum: 1, default: 0.25, description: "Dropout of the items' vectors" },
      contextDropout: { type: "number", minimum: 0, exclusiveMaximum: 1, default: 0.5, description: "Dropout of c_t" },
      ...objectiveOptions("ce", "`ce`"),
      ...fitOptions({ epochs: 200, batchSize: 128, learningRate: 1e-3, weightDecay: 0, patience: 10 }, "encoder", { batchSize: 512 }),
    },
  },
})
export class Narm implements SequenceEncoder {
  readonly fit: FitOptions;

  constructor(@options() private readonly options: NarmOptions) {
    this.fit = options;
  }

  build(scope: Parameters, { items: count }: { readonly items: number }): EncoderNetwork {
    const { embedding, hidden, dropout, contextDropout } = this.options;
    const items = nn.embedding(scope.scope("items"), { count: count + 1, width: embedding });
    const recur = nn.gru(scope.scope("gru"), { inputs: embedding, hidden });
    const attend = localEncoder(scope, hidden);
    const decode = nn.linear(scope.scope("decoder"), { inputs: 2 * hidden, outputs: embedding }); // B
    const seen = (ids: tf.Tensor2D, mode: Mode, real: tf.Tensor2D) => recur(nn.dropout(items(ids) as tf.Tensor3D, dropout, mode), real);
    const decoded = (global: tf.Tensor3D, local: tf.Tensor3D, mode: Mode) =>
      decode(nn.dropout(tf.concat([global, local], 2), contextDropout, mode)) as tf.Tensor3D;
    const states = (ids: tf.Tensor2D, mode: Mode): tf.Tensor3D => {
      const real = realOf(ids);
      const all = seen(ids, mode, real); // [batch, length, hidden]
      const length = ids.shape[1];
      return decoded(all, attend(all, all, tf.mul(tf.linalg.bandPart(tf.ones([length, length]), -1, 0), tf.expandDims(real, 1))), mode);
    };
    const last = (ids: tf.Tensor2D, mode: Mode): tf.Tensor2D => {
      const real = realOf(ids);
      const all = seen(ids, mode, real);
      const [batch, length] = ids.shape;
      const end = tf.slice(all, [0, length - 1, 0], [batch, 1, hidden]);
      return tf.reshape(decoded(end, attend(end, all, tf.expandDims(real, 1)), mode), [batch, embedding]);
    };
    return causalEncoder({ catalogue: catalogueOf(items), width: embedding, states, last }, this.options);
  }
}

/** @returns ends [batch, queries, hidden], all [batch, length, hidden], allowed (0 or 1, broadcast to [batch, queries, length]) -> [batch, queries, hidden] */
function localEncoder(scope: Parameters, hidden: number) {
  const ofEnd = nn.linear(scope.scope("end"), { inputs: hidden, outputs: hidden }); // A_1
  const ofEach = nn.linear(scope.scope("each"), { inputs: hidden, outputs: hidden }); // A_2
  const weigh = scope.create("weigh", [hidden], nn.uniform(1 / Math.sqrt(hidden))); // v
  return (ends: tf.Tensor3D, all: tf.Tensor3D, allowed: tf.Tensor): tf.Tensor3D =>
    tf.matMul(tf.mul(nn.additiveScores(ofEnd(ends), ofEach(all), weigh, "sigmoid"), allowed) as tf.Tensor3D, all);
}
