import { type Adaptor, type AdaptorNetwork, type AdaptorShape, type Mode, nn, options, type Parameters, plugin, tf } from "rlrf4rec";

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

/** Experts side by side: all first layers are one matrix, and so are all second layers. */
interface Experts {
  readonly count: number;
  readonly inWeights: tf.Tensor2D; // [width, count * hidden]
  readonly inBiases: tf.Tensor1D; // [count * hidden]
  readonly outWeights: tf.Tensor2D; // [count * hidden, adapted]
  readonly outBiases: tf.Tensor2D; // [count, adapted]
}

function experts(scope: Parameters, count: number, width: number, { hidden, adapted }: HeaOptions): Experts | undefined {
  if (count === 0) return undefined;
  const create = (name: string, shape: number[], bound: number) => scope.create(name, shape, nn.uniform(bound)) as tf.Tensor;
  return {
    count,
    // He's and Xavier's bounds for one expert
    inWeights: create("inWeights", [width, count * hidden], Math.sqrt(6 / width)) as tf.Tensor2D,
    inBiases: create("inBiases", [count * hidden], 0) as tf.Tensor1D,
    outWeights: create("outWeights", [count * hidden, adapted], Math.sqrt(6 / (hidden + adapted))) as tf.Tensor2D,
    outBiases: create("outBiases", [count, adapted], 0) as tf.Tensor2D,
  };
}

/**
 * One side's mixture: Σ_e g_e(x) E_e(x), g = softmax of a linear gate, E = two layers with a ReLU between. The experts' last layer is linear,
 * so the gate goes into their hidden units, and mixing and last layers are one matrix product.
 * @returns texts [n, width] -> [n, adapted]; a silent text (all zeros) gives zeros, which says nothing in every join
 */
function mixture(scope: Parameters, shared: Experts | undefined, width: number, options: HeaOptions) {
  const own = experts(scope, options.specific, width, options) as Experts; // the schema's minimum is 1
  const all = shared ? [shared, own] : [own];
  const count = all.reduce((sum, each) => sum + each.count, 0);
  const gate = nn.dense(scope.scope("gate"), { inputs: width, outputs: count });
  const together = <Rank extends tf.Tensor>(part: (of: Experts) => Rank, axis: number): Rank =>
    all.length === 1 ? part(own) : (tf.concat(all.map(part), axis) as Rank);
  return (texts: tf.Tensor2D, mode: Mode): tf.Tensor2D => {
    const gates = tf.softmax(gate(texts)); // [n, count]
    const inner = tf.add(
      tf.matMul(
        texts,
        together((of) => of.inWeights, 1),
      ),
      together((of) => of.inBiases, 0),
    );
    const hidden = nn.dropout(nn.relu(inner), options.dropout, mode); // [n, count * hidden]
    const gated = tf.mul(tf.reshape(hidden, [-1, count, options.hidden]), tf.expandDims(gates, 2));
    const mixed = tf.matMul(
      tf.reshape(gated, [-1, count * options.hidden]) as tf.Tensor2D,
      together((of) => of.outWeights, 0),
    );
    const biases = tf.matMul(
      gates,
      together((of) => of.outBiases, 0),
    );
    return tf.mul(tf.add(mixed, biases), spoken(texts)) as tf.Tensor2D;
  };
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
