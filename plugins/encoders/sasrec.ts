import {
  createRng,
  type EncoderNetwork,
  type FitOptions,
  type Mode,
  nn,
  options,
  type Parameters,
  plugin,
  type SequenceEncoder,
  tf,
} from "rlrf4rec";

export interface SasRecOptions extends FitOptions {
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly dropout: number;
  readonly objective: "bce" | "ce" | "gbce";
  readonly negatives: number;
  readonly calibration: number;
}

@plugin({
  kind: "encoder",
  name: "sasrec",
  version: "1.0.0",
  summary: "Self-attentive sequential recommendation, trained on whole sequences",
  source: "Kang & McAuley 2018, arXiv 1808.09781, eqs. 1-6; gbce: Petrov & Macdonald 2023, arXiv 2308.07192, eqs. 6-9",
  options: {
    type: "object",
    properties: {
      hidden: { type: "integer", minimum: 1, default: 64, description: "Width of items and states" },
      layers: { type: "integer", minimum: 1, default: 2, description: "Transformer blocks" },
      heads: { type: "integer", minimum: 1, default: 1, description: "Attention heads; must divide `hidden`" },
      dropout: { type: "number", minimum: 0, exclusiveMaximum: 1, default: 0.2, description: "Dropout of embeddings and blocks" },
      objective: {
        enum: ["bce", "ce", "gbce"],
        default: "ce",
        description:
          "`bce`: one sampled negative a position, as published; `ce`: softmax over all items; `gbce`: many negatives, calibrated",
      },
      negatives: {
        type: "integer",
        minimum: 1,
        default: 128,
        unit: "items",
        description: "Negatives of `gbce`, drawn once a batch for all its positions",
      },
      calibration: {
        type: "number",
        minimum: 0,
        maximum: 1,
        default: 0.75,
        description: "t of `gbce`: 0 = plain BCE, 1 = calibrated as a softmax",
      },
      epochs: { type: "integer", minimum: 1, default: 200, unit: "epochs", description: "At most" },
      batchSize: { type: "integer", minimum: 1, default: 128, unit: "sequences", description: "Sequences a step" },
      learningRate: { type: "number", exclusiveMinimum: 0, default: 1e-3, description: "AdamW's" },
      weightDecay: { type: "number", minimum: 0, default: 0, description: "AdamW's, decoupled" },
      patience: {
        type: "integer",
        minimum: 1,
        default: 10,
        unit: "epochs",
        description: "Epochs without a better NDCG@10 of the valid users' last items before the fit stops",
      },
    },
  },
})
export class SasRec implements SequenceEncoder {
  readonly fit: FitOptions;

  constructor(@options() private readonly options: SasRecOptions) {
    this.fit = options;
  }

  build(scope: Parameters, shape: { readonly items: number; readonly history: number }): EncoderNetwork {
    const { hidden, objective } = this.options;
    const items = nn.embedding(scope.scope("items"), { count: shape.items + 1, width: hidden });
    const states = transformer(scope, shape.history, this.options);
    const last = (history: tf.Tensor2D, mode: Mode): tf.Tensor2D => {
      const [batch, length] = history.shape;
      const all = states(history, items(history) as tf.Tensor3D, mode); // [batch, length, hidden]
      return tf.reshape(tf.slice(all, [0, length - 1, 0], [batch, 1, hidden]), [batch, hidden]);
    };
    return {
      // state * item is what the dot product sums up, and lets the reranker weigh its parts; the sum itself is what the encoder was
      // fitted to rank by. The item's vector alone is left out: the reranker learns one of its own.
      width: hidden + 1,
      loss: (sequences, mode) =>
        losses[objective](batchOf(sequences), { items, states, mode, catalogue: shape.items, options: this.options }),
      features: (history, candidates, mode) => {
        const products = tf.mul(items(candidates), tf.expandDims(last(history, mode), 1)); // [batch, list, hidden]
        return tf.concat([products, tf.sum(products, 2, true)], 2) as tf.Tensor3D;
      },
      scores: (history) => tf.matMul(last(history, nn.evaluating), items.table as tf.Tensor as tf.Tensor2D, false, true),
    };
  }
}

/** @returns ids [batch, length], their embeddings -> states [batch, length, hidden] */
function transformer(scope: Parameters, history: number, { hidden, layers, heads, dropout }: SasRecOptions) {
  const positions = scope.create("positions", [history, hidden], nn.truncatedNormal(0.02));
  const blocks = Array.from({ length: layers }, (_, i) =>
    nn.transformerBlock(scope.scope(`block${i}`), { width: hidden, heads, inner: hidden, dropout, norm: "pre" }),
  );
  const norm = nn.layerNorm(scope.scope("norm"), hidden);
  return (ids: tf.Tensor2D, embedded: tf.Tensor3D, mode: Mode): tf.Tensor3D => {
    const length = ids.shape[1];
    // Positions are counted from the end, so that a batch of short sequences need not be padded to the longest of all.
    const places = tf.slice(positions, [history - length, 0], [length, hidden]);
    const input = tf.reshape(tf.add(tf.mul(embedded, Math.sqrt(hidden)), places), [-1, hidden]) as tf.Tensor2D; // [batch * length, hidden]
    const mask = tf.add(nn.causalMask(length), nn.paddingMask(ids)); // [batch, length, length]
    const seen = blocks.reduce((x, block) => block(x, ids.shape[0], mode, mask), nn.dropout(input, dropout, mode));
    return tf.reshape(norm(seen), [ids.shape[0], length, hidden]);
  };
}

/** Sequences as inputs and the items that follow them. */
interface Batch {
  readonly size: number;
  readonly length: number;
  readonly inputs: Int32Array; // [size * length]
  readonly targets: Int32Array; // [size * length]
  /** Positions with both an input and a target; the others are padding. */
  readonly real: Int32Array;
}

function batchOf(sequences: tf.Tensor2D): Batch {
  const [size, width] = sequences.shape;
  const length = width - 1;
  const ids = sequences.dataSync();
  const inputs = new Int32Array(size * length);
  const targets = new Int32Array(size * length);
  const real = new Int32Array(size * length);
  let count = 0;
  for (let row = 0; row < size; row++)
    for (let i = 0; i < length; i++) {
      const at = row * length + i;
      const input = ids[row * width + i] as number;
      inputs[at] = input;
      targets[at] = ids[row * width + i + 1] as number;
      if (input !== 0) real[count++] = at;
    }
  return { size, length, inputs, targets, real: real.subarray(0, count) };
}

interface Net {
  readonly items: nn.Embedding;
  readonly states: (ids: tf.Tensor2D, embedded: tf.Tensor3D, mode: Mode) => tf.Tensor3D;
  readonly mode: Mode;
  /** Items, padding not counted. */
  readonly catalogue: number;
  readonly options: SasRecOptions;
}

const losses = { bce: binary, ce: softmax, gbce: generalised };

/** One negative a position, drawn uniformly from what the sequence does not hold (eq. 6). */
function binary(batch: Batch, { items, states, mode, catalogue }: Net): tf.Scalar {
  const { size, length, inputs, targets, real } = batch;
  const negatives = drawNegatives(batch, catalogue, mode);
  const all = new Int32Array(3 * size * length);
  all.set(inputs);
  all.set(targets, size * length);
  all.set(negatives, 2 * size * length);
  // one lookup for all three, so that its gradient is one sum over the table
  const [embedded, right, wrong] = tf.unstack(items(tf.tensor3d(all, [3, size, length], "int32"))) as [
    tf.Tensor3D,
    tf.Tensor3D,
    tf.Tensor3D,
  ];
  const state = states(tf.tensor2d(inputs, [size, length], "int32"), embedded, mode);
  const logits = tf.stack([nn.rowDots(state, right), nn.rowDots(state, wrong)]); // [2, size, length]
  const weights = new Float32Array(2 * size * length);
  for (const at of real) weights[at] = weights[at + size * length] = 1;
  const labels = new Float32Array(2 * size * length).fill(1, 0, size * length);
  const shape: [number, number, number] = [2, size, length];
  // the paper sums both terms of a position
  return tf.mul(nn.binaryCrossEntropy(logits, tf.tensor3d(labels, shape), tf.tensor3d(weights, shape)), 2) as tf.Scalar;
}

function drawNegatives({ size, length, inputs, targets, real }: Batch, catalogue: number, mode: Mode): Int32Array {
  const rng = createRng("negatives", mode.nextSeed());
  const negatives = new Int32Array(size * length);
  const seenIn = new Int32Array(catalogue + 1); // row + 1 of the last sequence that holds the item
  let at = 0;
  for (let row = 0; row < size; row++) {
    const end = (row + 1) * length;
    let seen = 0;
    for (let i = row * length; i < end; i++)
      for (const item of [inputs[i] as number, targets[i] as number]) {
        if (item !== 0 && seenIn[item] !== row + 1) seen++;
        seenIn[item] = row + 1;
      }
    for (; at < real.length && (real[at] as number) < end; at++) {
      let item = 1 + rng.below(catalogue);
      while (seen < catalogue && seenIn[item] === row + 1) item = 1 + rng.below(catalogue);
      negatives[real[at] as number] = item;
    }
  }
  return negatives;
}

/** Softmax over all items. */
function softmax(batch: Batch, net: Net): tf.Scalar {
  const table = net.items.table as tf.Tensor as tf.Tensor2D;
  const [rows, width] = table.shape;
  const catalogue = tf.slice(table, [1, 0], [rows - 1, width]); // without padding
  return nn.catalogueCrossEntropy(realStates(batch, net), catalogue, realTargets(batch, -1));
}

/**
 * Generalised BCE: the positive's log-probability is taken to the power β = α (t (1 - 1/α) + 1/α), α = k / (items - 1), which
 * undoes the overconfidence that few negatives teach. The k negatives are shared by the batch, so that scoring them is one
 * matrix product; where one of them is a position's positive it does not count there.
 */
function generalised(batch: Batch, net: Net): tf.Scalar {
  const { negatives, calibration } = net.options;
  const targets = realTargets(batch, 0);
  const rng = createRng("negatives", net.mode.nextSeed());
  const drawn = Int32Array.from({ length: negatives }, () => 1 + rng.below(net.catalogue));
  const alpha = Math.min(1, negatives / Math.max(1, net.catalogue - 1));
  const beta = alpha * (calibration * (1 - 1 / alpha) + 1 / alpha);
  const width = negatives + 1;
  const weights = new Float32Array(targets.length * width).fill(1);
  const labels = new Float32Array(targets.length * width); // the positive comes first
  let total = 0;
  for (const [row, target] of targets.entries()) {
    weights[row * width] = beta;
    labels[row * width] = 1;
    for (let i = 0; i < negatives; i++) if (drawn[i] === target) weights[row * width + i + 1] = 0;
  }
  for (const weight of weights) total += weight;
  const states = realStates(batch, net);
  const right = nn.rowDots(states, net.items(tf.tensor1d(targets, "int32")));
  const wrong = tf.matMul(states, net.items(tf.tensor1d(drawn, "int32")) as tf.Tensor2D, false, true); // [real, negatives]
  const logits = tf.concat([tf.expandDims(right, 1), wrong], 1); // [real, 1 + negatives]
  const shape: [number, number] = [targets.length, width];
  const mean = nn.binaryCrossEntropy(logits, tf.tensor2d(labels, shape), tf.tensor2d(weights, shape));
  return tf.mul(mean, total / (targets.length * width)) as tf.Scalar;
}

/** @returns the states of the batch's real positions, [real, hidden] */
function realStates({ inputs, size, length, real }: Batch, { items, states, mode, options }: Net): tf.Tensor2D {
  const ids = tf.tensor2d(inputs, [size, length], "int32");
  const all = tf.reshape(states(ids, items(ids) as tf.Tensor3D, mode), [size * length, options.hidden]);
  return real.length === size * length ? (all as tf.Tensor2D) : (tf.gather(all, tf.tensor1d(real, "int32")) as tf.Tensor2D);
}

function realTargets({ targets, real }: Batch, shift: number): Int32Array {
  return real.map((at) => (targets[at] as number) + shift);
}
