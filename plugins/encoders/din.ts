import {
  batchOf,
  createRng,
  drawNegatives,
  type EncoderNetwork,
  type FitOptions,
  fitOptions,
  type Mode,
  nn,
  options,
  type Parameters,
  plugin,
  realOf,
  type SequenceEncoder,
  someNext,
  tf,
  widthsOption,
} from "rlrf4rec";

export interface DinOptions extends FitOptions {
  readonly hidden: number;
  readonly unit: number;
  readonly mlp: readonly number[];
  readonly dropout: number;
  readonly normalise: boolean;
  readonly targets: number;
}

/** v(A) = Σ_j a(e_j, v_A) e_j: what the history says depends on the candidate that it is asked about. */
@plugin({
  kind: "encoder",
  name: "din",
  version: "1.0.0",
  summary: "Deep interest network: the history as each candidate activates it",
  source: "Zhou et al. 2018, arXiv 1706.06978, eq. 3 and figure 2, PReLU; the units' inputs as in the authors' code",
  options: {
    type: "object",
    properties: {
      hidden: { type: "integer", minimum: 1, default: 64, description: "Width of the items' vectors" },
      unit: { type: "integer", minimum: 1, default: 36, description: "Hidden width of the activation unit" },
      mlp: widthsOption([200, 80], "Hidden widths of the final MLP"),
      dropout: { type: "number", minimum: 0, exclusiveMaximum: 1, default: 0, description: "Dropout of the final MLP's input" },
      normalise: {
        ...{ type: "boolean", default: false },
        description: "A softmax over the history's activations, as the authors' code has; the paper keeps their intensity",
      },
      targets: {
        ...{ type: "integer", minimum: 1, default: 4, unit: "items" },
        description: "Next items learnt of each sequence a step, drawn anew, each with a negative that the sequence does not hold",
      },
      ...fitOptions({ epochs: 200, batchSize: 128, learningRate: 1e-3, weightDecay: 0, patience: 10 }, "encoder"),
    },
  },
})
export class DeepInterest implements SequenceEncoder {
  readonly fit: FitOptions;

  constructor(@options() private readonly options: DinOptions) {
    this.fit = options;
  }

  build(scope: Parameters, { items: count }: { readonly items: number }): EncoderNetwork {
    const { hidden, targets } = this.options;
    const items = nn.embedding(scope.scope("items"), { count: count + 1, width: hidden });
    const network = interest(scope, this.options);
    const asked = (history: tf.Tensor2D, candidates: tf.Tensor2D, mode: Mode) =>
      network(items(history) as tf.Tensor3D, items(candidates) as tf.Tensor3D, tf.expandDims(realOf(history), 1) as tf.Tensor3D, mode);
    return {
      width: hidden + 1, // interest * candidate, and the logit that it was fitted to rank by
      loss: (sequences, mode) => {
        const { ids, candidates, allowed, weights } = questions(sequences, count, targets, mode);
        const { logits } = network(items(ids) as tf.Tensor3D, items(candidates) as tf.Tensor3D, allowed, mode);
        const labels = tf.concat([tf.onesLike(weights), tf.zerosLike(weights)], 1);
        return tf.mul(nn.binaryCrossEntropy(logits, labels, tf.concat([weights, weights], 1)), 2) as tf.Scalar;
      },
      features: (history, candidates, mode) => {
        const { products, logits } = asked(history, candidates, mode);
        return tf.concat([products, tf.expandDims(logits, 2)], 2) as tf.Tensor3D;
      },
      scores: (history) =>
        everyItem(history, count + 1, this.options.unit, (candidates) => asked(history, candidates, nn.evaluating).logits),
    };
  }
}

/** Entries of the activation units' hidden layer computed at once. */
const entriesAtOnce = 1 << 23;

/** Every item is a candidate of its own, so full ranking costs a pass an item: some of them at a time. @returns [batch, items] */
function everyItem(
  { shape: [batch, length] }: tf.Tensor2D,
  items: number,
  unit: number,
  score: (candidates: tf.Tensor2D) => tf.Tensor2D,
): tf.Tensor2D {
  const atOnce = Math.max(1, Math.floor(entriesAtOnce / (batch * length * unit)));
  const pieces = Array.from({ length: Math.ceil(items / atOnce) }, (_, i) =>
    tf.tidy(() =>
      score(tf.tile(tf.expandDims(tf.range(i * atOnce, Math.min(items, (i + 1) * atOnce), 1, "int32")), [batch, 1]) as tf.Tensor2D),
    ),
  );
  return tf.concat(pieces, 1);
}

/** @returns history [batch, length, hidden], candidates [batch, list, hidden], allowed [batch, 1 or list, length] -> their interest and logits */
function interest(scope: Parameters, { hidden, mlp, dropout, normalise, unit }: DinOptions) {
  const activate = activationUnit(scope.scope("unit"), hidden, unit);
  const widths = [3 * hidden, ...mlp];
  const layers = mlp.map((outputs, i) => {
    const own = scope.scope(`mlp${i}`);
    const layer = nn.dense(own, { inputs: widths[i] as number, outputs, initialiser: nn.heUniform });
    const slope = own.create("slope", [outputs], quarter);
    return (x: tf.Tensor2D) => nn.prelu(layer(x), slope);
  });
  const output = nn.dense(scope.scope("output"), { inputs: widths.at(-1) as number, outputs: 1 });
  return (history: tf.Tensor3D, candidates: tf.Tensor3D, allowed: tf.Tensor3D, mode: Mode) => {
    const [batch, list] = candidates.shape;
    const activations = activate(history, candidates); // [batch, list, length]
    const hidePadding = tf.mul(tf.sub(allowed, 1), 1e9);
    const weights = normalise ? tf.softmax(tf.add(activations, hidePadding)) : activations;
    const said = tf.matMul(tf.mul(weights, allowed) as tf.Tensor3D, history); // [batch, list, hidden]
    const products = tf.mul(said, candidates) as tf.Tensor3D;
    const joined = tf.reshape(tf.concat([said, candidates, products], 2), [batch * list, 3 * hidden]) as tf.Tensor2D;
    const logits = output(layers.reduce((x, layer) => layer(x), nn.dropout(joined, dropout, mode)));
    return { products, logits: tf.reshape(logits, [batch, list]) as tf.Tensor2D };
  };
}

const quarter = (shape: readonly number[]) => new Float32Array(shape[0] as number).fill(0.25);

/**
 * w · prelu(W [e; v; e - v; e ⊙ v] + b) + c of each pair of a history's item e and a candidate v. W's first three parts are sums of a
 * product of e and one of v; the fourth is a product of the two, so no vector of a pair is ever made.
 * @returns history [batch, length, hidden], candidates [batch, list, hidden] -> [batch, list, length]
 */
function activationUnit(scope: Parameters, hidden: number, unit: number) {
  const each = nn.dense(scope.scope("each"), { inputs: hidden, outputs: unit });
  const candidate = nn.linear(scope.scope("candidate"), { inputs: hidden, outputs: unit });
  const difference = nn.linear(scope.scope("difference"), { inputs: hidden, outputs: unit });
  const product = scope.create("product", [unit, hidden], nn.xavierUniform);
  const slope = scope.create("slope", [unit], quarter);
  const weights = scope.create("weights", [unit], nn.uniform(1 / Math.sqrt(unit)));
  const bias = scope.create("bias", [1], nn.zeros);
  return (history: tf.Tensor3D, candidates: tf.Tensor3D): tf.Tensor3D => {
    const [batch, list] = candidates.shape;
    const length = history.shape[1];
    const ofHistory = tf.transpose(tf.add(each(history), difference(history)), [0, 2, 1]); // [batch, unit, length]
    const ofCandidate = tf.sub(candidate(candidates), difference(candidates)); // [batch, list, unit]
    const scaled = tf.reshape(tf.mul(tf.expandDims(candidates, 2), product), [batch, list * unit, hidden]) as tf.Tensor3D;
    const pairs = tf.reshape(tf.matMul(scaled, history, false, true), [batch, list, unit, length]);
    const sum = tf.add(tf.add(pairs, tf.expandDims(ofCandidate, 3)), tf.expandDims(ofHistory, 1)); // [batch, list, unit, length]
    // prelu(x) = (1 - slope) relu(x) + slope x
    const above = tf.mul(tf.relu(sum), tf.expandDims(tf.mul(weights, tf.sub(1, slope)), 1));
    const plain = tf.mul(sum, tf.expandDims(tf.mul(weights, slope), 1));
    return tf.add(tf.sum(tf.add(above, plain), 2), bias);
  };
}

/** Some next items of each sequence beside as many negatives, each of which may look at what came before it alone. */
function questions(sequences: tf.Tensor2D, items: number, targets: number, mode: Mode) {
  const batch = batchOf(sequences);
  const { size, width, ids } = batch;
  const next = someNext(batch, targets, createRng("targets", mode.nextSeed()));
  const negatives = drawNegatives(next, items, mode);
  const list = Math.min(targets, width - 1);
  const candidates = new Int32Array(size * 2 * list);
  const weights = new Float32Array(size * list);
  const allowed = new Float32Array(size * 2 * list * (width - 1));
  const asked = new Int32Array(size); // of each row so far
  for (const [i, row] of next.rows.entries()) {
    const place = asked[row] as number;
    asked[row] = place + 1;
    weights[row * list + place] = 1;
    for (const [item, at] of [
      [next.targets[i], 2 * row * list + place],
      [negatives[i], (2 * row + 1) * list + place],
    ] as [number, number][]) {
      candidates[at] = item;
      for (let column = 0; column <= (next.columns[i] as number); column++)
        if (ids[row * width + column] !== 0) allowed[at * (width - 1) + column] = 1;
    }
  }
  return {
    ids: tf.slice(sequences, [0, 0], [size, width - 1]),
    candidates: tf.tensor2d(candidates, [size, 2 * list], "int32"),
    allowed: tf.tensor3d(allowed, [size, 2 * list, width - 1]),
    weights: tf.tensor2d(weights, [size, list]),
  };
}
