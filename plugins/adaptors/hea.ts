import {
  type Adaptor,
  type AdaptorNetwork,
  type AdaptorShape,
  type Initializer,
  type Mode,
  nn,
  options,
  type Parameters,
  plugin,
  tf,
} from "rlrf4rec";

export interface HeaOptions {
  readonly join: "aspects" | "product" | "concat";
  readonly shared: number;
  readonly specific: number;
  readonly hidden: number;
  readonly adapted: number;
  readonly dropout: number;
  readonly gain: number;
}

@plugin({
  kind: "adaptor",
  name: "hea",
  version: "1.0.0",
  summary: "Hybrid-expert adaptor: users' and items' texts through experts of their own and shared ones, then joined",
  source: "KAR, Xi et al. 2023, arXiv 2306.10933, section 3.4; the joins `aspects` and `product` are this framework's",
  options: {
    type: "object",
    properties: {
      join: {
        enum: ["aspects", "product", "concat"],
        default: "aspects",
        description:
          "How the user's text meets the item's: `concat` as published; `product` adds their elementwise product; `aspects` adapts each aspect by itself and gives its elementwise product with the item, so that the ranking depends on what the text says",
      },
      shared: { type: "integer", minimum: 0, default: 2, description: "Experts that users and items share" },
      specific: { type: "integer", minimum: 1, default: 5, description: "Experts of each side's own" },
      hidden: { type: "integer", minimum: 1, default: 128, description: "Hidden width of an expert" },
      adapted: { type: "integer", minimum: 1, default: 32, description: "Width of an adapted vector" },
      dropout: { type: "number", minimum: 0, exclusiveMaximum: 1, default: 0.1, description: "Dropout of the experts' hidden layers" },
      gain: {
        type: "number",
        exclusiveMinimum: 0,
        default: 0.1,
        unit: "factor",
        description:
          "What the learned gains of the elementwise products start from (as LayerScale, arXiv 2103.17239): small, so that the ranking begins with what the items say and learns whom to hear, before it can learn users by heart",
      },
    },
  },
})
export class HybridExperts implements Adaptor {
  constructor(@options() private readonly options: HeaOptions) {}

  build(scope: Parameters, { aspects, width }: AdaptorShape): AdaptorNetwork {
    const { join, adapted } = this.options;
    const shared = experts(scope.scope("shared"), this.options.shared, width, this.options);
    const side = (name: string) => mixture(scope.scope(name), shared, width, this.options);
    const [adaptUser, adaptItem] = [side("users"), side("items")];
    const aspectByAspect = join === "aspects";
    const voices = { aspects, product: 1, concat: 0 }[join];
    const gains =
      voices === 0
        ? undefined
        : scope.create("gains", [voices * adapted], (shape) => new Float32Array(shape[0] as number).fill(this.options.gain));
    return {
      aspectByAspect,
      features: { aspects: aspects + 1, product: 3, concat: 2 }[join] * adapted,
      users: (texts, mode) => {
        const heard = aspectByAspect ? unitRms(texts) : meanOfSpoken(unitRms(texts)); // [users, voices, width]
        const users = adaptUser(tf.reshape(heard, [-1, width]), mode);
        return tf.reshape(users, [heard.shape[0], heard.shape[1], adapted]);
      },
      items: (texts, mode) => adaptItem(unitRms(texts), mode),
      join: (users, items) => joined(join, users, items, gains),
    };
  }
}

/** Experts side by side, so that a layer of all of them is one matrix product. */
interface Experts {
  readonly inWeights: tf.Tensor2D; // [width, count * hidden]
  readonly inBiases: tf.Tensor1D; // [count * hidden]
  readonly outWeights: tf.Tensor2D; // [count * hidden, adapted]
  readonly outBiases: tf.Tensor2D; // [count, adapted]
}

function experts(scope: Parameters, count: number, width: number, { hidden, adapted }: HeaOptions): Experts | undefined {
  if (count === 0) return undefined;
  /** Each expert is initialised as a layer of its own, whatever stands beside it. */
  const eachOf =
    (
      shape: readonly [number, number],
      initialiser: Initializer,
      place: (expert: number, row: number, column: number) => number,
    ): Initializer =>
    (whole, rng) => {
      const values = new Float32Array(whole.reduce((product, size) => product * size, 1));
      for (let expert = 0; expert < count; expert++)
        initialiser(shape, rng).forEach((value, i) => {
          values[place(expert, Math.floor(i / shape[1]), i % shape[1])] = value;
        });
      return values;
    };
  const beside = eachOf([width, hidden], nn.heUniform, (expert, row, column) => (row * count + expert) * hidden + column);
  const below = eachOf([hidden, adapted], nn.xavierUniform, (expert, row, column) => (expert * hidden + row) * adapted + column);
  return {
    inWeights: scope.create("inWeights", [width, count * hidden], beside) as tf.Tensor as tf.Tensor2D,
    inBiases: scope.create("inBiases", [count * hidden], nn.zeros) as tf.Tensor as tf.Tensor1D,
    outWeights: scope.create("outWeights", [count * hidden, adapted], below) as tf.Tensor as tf.Tensor2D,
    outBiases: scope.create("outBiases", [count, adapted], nn.zeros) as tf.Tensor as tf.Tensor2D,
  };
}

/**
 * One side's mixture: Σ_e g_e(x) E_e(x), g = softmax of a linear gate, E = two layers with a ReLU between.
 * @returns texts [n, width] -> [n, adapted]; a silent text (all zeros) gives zeros, which says nothing in every join
 */
function mixture(scope: Parameters, shared: Experts | undefined, width: number, options: HeaOptions) {
  const own = experts(scope, options.specific, width, options) as Experts; // the schema's minimum is 1
  const count = options.specific + (shared ? options.shared : 0);
  const gateWeights = scope.create("gateWeights", [width, count], nn.xavierUniform) as tf.Tensor as tf.Tensor2D;
  const gateBiases = scope.create("gateBiases", [count], nn.zeros);
  const all = shared ? together(shared, own) : () => own;
  return (texts: tf.Tensor2D, mode: Mode): tf.Tensor2D => {
    const gates = tf.softmax(tf.add(tf.matMul(texts, gateWeights), gateBiases)) as tf.Tensor2D; // [n, count]
    // Drawing a mask for each expert would cost as much as the expert.
    const kept = nn.dropout(tf.ones([texts.shape[0], 1, options.hidden]), options.dropout, mode) as tf.Tensor3D;
    return tf.mul(gatedSum(texts, all(), gates, kept), spoken(texts)) as tf.Tensor2D;
  };
}

function together(a: Experts, b: Experts): () => Experts {
  return () => ({
    inWeights: tf.concat([a.inWeights, b.inWeights], 1),
    inBiases: tf.concat([a.inBiases, b.inBiases]),
    outWeights: tf.concat([a.outWeights, b.outWeights], 0),
    outBiases: tf.concat([a.outBiases, b.outBiases], 0),
  });
}

/**
 * Σ_e g_e (relu(x V_e + a_e) W_e + b_e), computed as (g ⊙ relu(x V + a)) W + g b: with the gate before the second layer both layers of
 * all experts are one matrix product each. Its gradient is written out, since the tape would not know that the texts are frozen.
 * @param texts [n, width]; @param gates [n, count]; @param kept dropout's mask of the hidden layers, [n, 1, hidden]
 * @returns [n, adapted]
 */
function gatedSum(texts: tf.Tensor2D, experts: Experts, gates: tf.Tensor2D, kept: tf.Tensor3D): tf.Tensor2D {
  const [rows, count] = gates.shape;
  const wide: [number, number, number] = [rows, count, kept.shape[2]];
  const flat = [rows, count * kept.shape[2]];
  type Inputs = [tf.Tensor2D, tf.Tensor1D, tf.Tensor2D, tf.Tensor2D, tf.Tensor2D];
  const { inWeights, inBiases, outWeights, outBiases } = experts;
  return nn.withGradient<Inputs, tf.Tensor2D>([inWeights, inBiases, outWeights, outBiases, gates], (v, a, w, b, gates) => {
    const hidden = tf.relu(tf.add(tf.matMul(texts, v), a)); // [n, count * hidden]
    const weights = tf.reshape(tf.mul(tf.expandDims(gates, 2), kept), flat); // [n, count * hidden]
    const said = tf.mul(hidden, weights) as tf.Tensor2D;
    return {
      value: tf.add(tf.matMul(said, w), tf.matMul(gates, b)) as tf.Tensor2D,
      saved: [texts, hidden, weights, said, w, b, gates, kept],
      gradients: (dy, ...saved) => {
        const [texts, hidden, weights, said, w, b, gates, kept] = saved as [
          tf.Tensor2D,
          tf.Tensor2D,
          tf.Tensor2D,
          tf.Tensor2D,
          tf.Tensor2D,
          tf.Tensor2D,
          tf.Tensor2D,
          tf.Tensor3D,
        ];
        const out = dy as tf.Tensor2D;
        const dSaid = tf.matMul(out, w, false, true); // [n, count * hidden]
        const inner = nn.reluGradient(tf.mul(dSaid, weights), hidden) as tf.Tensor2D;
        const heard = tf.matMul(tf.reshape(tf.mul(dSaid, hidden), wide) as tf.Tensor3D, kept, false, true); // [n, count, 1]
        const dGates = tf.add(tf.reshape(heard, [rows, count]), tf.matMul(out, b, false, true));
        return [
          tf.matMul(texts, inner, true, false),
          nn.biasGradient(inner),
          tf.matMul(said, out, true, false),
          tf.matMul(gates, out, true, false),
          dGates,
        ];
      },
    };
  });
}

/** 1 where a vector says something, 0 where it is all zeros. @returns [..., 1] */
function spoken(texts: tf.Tensor): tf.Tensor {
  return tf.sign(tf.sum(tf.square(texts), -1, true));
}

/** Vectors at a root mean square of 1, whatever the text encoder's scale: entries as a layer expects them. Zeros stay zeros. */
function unitRms<Rank extends tf.Tensor>(texts: Rank): Rank {
  return tf.mul(texts, tf.rsqrt(tf.add(tf.mean(tf.square(texts), -1, true), 1e-12))) as Rank;
}

/** The mean over the aspects that are not silent. @param texts [users, aspects, width]; @returns [users, 1, width] */
function meanOfSpoken(texts: tf.Tensor3D): tf.Tensor3D {
  const voices = tf.maximum(tf.sum(spoken(texts), 1, true), 1); // [users, 1, 1]
  return tf.div(tf.sum(texts, 1, true), voices) as tf.Tensor3D;
}

/** @param users [batch, voices, adapted]; @param items [batch, list, adapted] */
function joined(join: HeaOptions["join"], users: tf.Tensor3D, items: tf.Tensor3D, gains?: tf.Tensor): tf.Tensor3D {
  const [batch, list, adapted] = items.shape;
  const voices = users.shape[1];
  const products = tf.mul(tf.expandDims(items, 2), tf.expandDims(users, 1)); // [batch, list, voices, adapted]
  const plain = tf.reshape(products, [batch, list, voices * adapted]) as tf.Tensor3D;
  const flat = gains ? (tf.mul(plain, gains) as tf.Tensor3D) : plain;
  if (join === "aspects") return tf.concat([items, flat], 2);
  const toEach = tf.add(users, tf.zeros(items.shape)) as tf.Tensor3D; // [batch, list, adapted]
  return tf.concat(join === "product" ? [items, toEach, flat] : [items, toEach], 2);
}
