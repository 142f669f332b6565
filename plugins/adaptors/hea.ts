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
    const voices = join === "aspects" ? aspects : 1;
    return {
      features: { aspects: aspects + 1, product: 3, concat: 2 }[join] * adapted,
      users: (texts, mode) => {
        const heard = join === "aspects" ? unitRms(texts) : meanOfSpoken(unitRms(texts)); // [users, voices, width]
        const users = adaptUser(tf.reshape(heard, [-1, width]), mode);
        return tf.reshape(users, [texts.shape[0], voices, adapted]);
      },
      items: (texts, mode) => adaptItem(unitRms(texts), mode),
      join: (users, items) => joined(join, users, items),
    };
  }
}

/** Experts side by side, so that a layer of all of them is one batched matrix product. */
interface Experts {
  readonly count: number;
  readonly inWeights: tf.Tensor3D; // [count, width, hidden]
  readonly inBiases: tf.Tensor3D; // [count, 1, hidden]
  readonly outWeights: tf.Tensor3D; // [count, hidden, adapted]
  readonly outBiases: tf.Tensor3D; // [count, 1, adapted]
}

function experts(scope: Parameters, count: number, width: number, { hidden, adapted }: HeaOptions): Experts | undefined {
  if (count === 0) return undefined;
  const create = (name: string, shape: number[], initialiser: Initializer) =>
    scope.create(name, shape, initialiser) as tf.Tensor as tf.Tensor3D;
  return {
    count,
    inWeights: create("inWeights", [count, width, hidden], nn.heUniform),
    inBiases: create("inBiases", [count, 1, hidden], nn.zeros),
    outWeights: create("outWeights", [count, hidden, adapted], nn.xavierUniform),
    outBiases: create("outBiases", [count, 1, adapted], nn.zeros),
  };
}

/**
 * One side's mixture: Σ_e g_e(x) E_e(x), g = softmax of a linear gate, E = two layers with a ReLU between.
 * @returns texts [n, width] -> [n, adapted]; a silent text (all zeros) gives zeros, which says nothing in every join
 */
function mixture(scope: Parameters, shared: Experts | undefined, width: number, options: HeaOptions) {
  const own = experts(scope, options.specific, width, options) as Experts; // the schema's minimum is 1
  const all = shared ? [shared, own] : [own];
  const count = all.reduce((sum, each) => sum + each.count, 0);
  const gateWeights = scope.create("gateWeights", [width, count], nn.xavierUniform) as tf.Tensor as tf.Tensor2D;
  const gateBiases = scope.create("gateBiases", [count], nn.zeros);
  const together = (part: (of: Experts) => tf.Tensor3D): tf.Tensor3D => (all.length === 1 ? part(own) : tf.concat(all.map(part), 0));
  return (texts: tf.Tensor2D, mode: Mode): tf.Tensor2D => {
    const gates = tf.softmax(tf.add(tf.matMul(texts, gateWeights), gateBiases)); // [n, count]
    const inWeights = together((of) => of.inWeights);
    const inBiases = together((of) => of.inBiases);
    const mask = [1, texts.shape[0], options.hidden]; // drawing a mask for each expert would cost as much as the expert
    const hidden = nn.dropout(firstLayers(texts, inWeights, inBiases), options.dropout, mode, mask); // [count, n, hidden]
    const said = tf.add(
      tf.matMul(
        hidden,
        together((of) => of.outWeights),
      ),
      together((of) => of.outBiases),
    ); // [count, n, adapted]
    return tf.mul(gatedSum(said as tf.Tensor3D, gates as tf.Tensor2D), spoken(texts)) as tf.Tensor2D;
  };
}

/**
 * relu(x W_e + b_e) of every expert. The texts are frozen, and the tape would not know that a product broadcast over the experts needs
 * no gradient for them. @param texts [n, width]; @returns [count, n, hidden]
 */
function firstLayers(texts: tf.Tensor2D, weights: tf.Tensor3D, biases: tf.Tensor3D): tf.Tensor3D {
  const rows = tf.expandDims(texts, 0); // [1, n, width]
  return nn.withGradient<[tf.Tensor3D, tf.Tensor3D], tf.Tensor3D>([weights, biases], (weights, biases) => {
    const value = tf.relu(tf.add(tf.matMul(rows, weights), biases)) as tf.Tensor3D;
    return {
      value,
      saved: [value, rows],
      gradients: (dy, ...saved) => {
        const [value, rows] = saved as [tf.Tensor, tf.Tensor];
        const inner = nn.reluGradient(dy, value);
        return [tf.matMul(rows, inner, true, false), tf.sum(inner, 1, true)];
      },
    };
  });
}

/** Σ_e gates[n, e] said[e, n, :]. @returns [n, adapted] */
function gatedSum(said: tf.Tensor3D, gates: tf.Tensor2D): tf.Tensor2D {
  return nn.withGradient<[tf.Tensor3D, tf.Tensor2D], tf.Tensor2D>([said, gates], (said, gates) => {
    const each = tf.expandDims(tf.transpose(gates), 2); // [count, n, 1]
    return {
      value: tf.sum(tf.mul(said, each), 0) as tf.Tensor2D,
      saved: [said, each],
      gradients: (dy, ...saved) => {
        const [said, each] = saved as [tf.Tensor, tf.Tensor];
        const over = tf.expandDims(dy, 0); // [1, n, adapted]
        return [tf.mul(over, each), tf.transpose(tf.sum(tf.mul(over, said), 2) as tf.Tensor2D)];
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
function joined(join: HeaOptions["join"], users: tf.Tensor3D, items: tf.Tensor3D): tf.Tensor3D {
  const [batch, list, adapted] = items.shape;
  const voices = users.shape[1];
  const products = tf.mul(tf.expandDims(items, 2), tf.expandDims(users, 1)); // [batch, list, voices, adapted]
  const flat = tf.reshape(products, [batch, list, voices * adapted]) as tf.Tensor3D;
  if (join === "aspects") return tf.concat([items, flat], 2);
  const toEach = tf.add(users, tf.zeros(items.shape)) as tf.Tensor3D; // [batch, list, adapted]
  return tf.concat(join === "product" ? [items, toEach, flat] : [items, toEach], 2);
}
