import {
  type FitOptions,
  fitOptions,
  nn,
  options,
  type Parameters,
  plugin,
  type Reranker,
  type RerankerNetwork,
  type RerankerShape,
  tf,
} from "rlrf4rec";

export interface Seq2SlateOptions extends FitOptions {
  readonly embedding: number;
  readonly hidden: number;
  readonly dropout: number;
  readonly decoding: "sequential" | "one-step";
}

/**
 * p(π_j = i | π_<j) = softmax over what is left of v · tanh(W e_i + U d_j), e an LSTM's states of the list, d_j a second one's after the
 * candidates chosen so far. It learns -Σ_j w_j Σ_i y_i log p(π_j = i | π_<j), w_j = 1 / log2(j + 1), along its own greedy choices; the sum over j
 * is each candidate's score.
 */
@plugin({
  kind: "reranker",
  name: "seq2slate",
  version: "1.0.0",
  summary: "A pointer network that puts candidate after candidate on the slate",
  source: "Bello et al. 2018, arXiv 1810.02019, eqs. 1-8, supervised with cross-entropy and a greedy policy",
  options: {
    type: "object",
    properties: {
      embedding: { type: "integer", minimum: 1, default: 32, description: "Width of the learned item-ID embedding" },
      hidden: { type: "integer", minimum: 1, default: 64, description: "Units of both LSTMs; the paper's: 128" },
      dropout: { type: "number", minimum: 0, exclusiveMaximum: 1, default: 0.1, description: "Dropout of the embedded candidates" },
      decoding: {
        enum: ["sequential", "one-step"],
        default: "sequential",
        description: "`one-step`: all candidates are ranked by the first choice's probabilities, as the paper's faster variant",
      },
      ...fitOptions({ epochs: 12, batchSize: 256, learningRate: 1e-3, weightDecay: 1, patience: 4 }, "reranker"),
    },
  },
})
export class Seq2Slate implements Reranker {
  readonly fit: FitOptions;
  readonly embedding: number;

  constructor(@options() private readonly options: Seq2SlateOptions) {
    this.fit = options;
    this.embedding = options.embedding;
  }

  build(scope: Parameters, { width }: RerankerShape): RerankerNetwork {
    const { hidden, dropout, decoding } = this.options;
    const input = nn.dense(scope.scope("input"), { inputs: width, outputs: hidden });
    const point = pointer(scope, hidden);
    return {
      score: (features, mode) => {
        const candidates = nn.dropout(input(features), dropout, mode); // [batch, list, hidden]
        const { sums, chosen } = point(candidates, decoding === "one-step" ? 1 : features.shape[1]);
        return mode.training || decoding === "one-step" ? sums : inOrder(sums, chosen);
      },
      loss: crossEntropy,
    };
  }
}

/** -Σ_i y_i score_i, labels divided by their sum in the list; the mean over the lists that have a relevant item. */
function crossEntropy(scores: tf.Tensor2D, labels: tf.Tensor2D): tf.Scalar {
  const sums = tf.sum(labels, 1, true);
  const lists = tf.maximum(tf.sum(tf.sign(sums)), 1);
  return tf.neg(tf.div(tf.sum(tf.mul(scores, tf.div(labels, tf.maximum(sums, 1e-12)))), lists)) as tf.Scalar;
}

/** @returns candidates [batch, list, hidden], steps -> weighted log-probabilities until a candidate was chosen [batch, list], and who was chosen when */
function pointer(scope: Parameters, hidden: number) {
  const encode = nn.lstm(scope.scope("encoder"), { inputs: hidden, hidden });
  const decode = nn.lstm(scope.scope("decoder"), { inputs: hidden, hidden });
  const start = scope.create("start", [1, hidden], nn.truncatedNormal(0.02));
  const ofCandidate = nn.linear(scope.scope("candidate"), { inputs: hidden, outputs: hidden });
  const ofDecoder = nn.linear(scope.scope("state"), { inputs: hidden, outputs: hidden });
  const weigh = scope.create("weigh", [hidden], nn.uniform(1 / Math.sqrt(hidden)));
  return (candidates: tf.Tensor3D, steps: number): { sums: tf.Tensor2D; chosen: Int32Array[] } => {
    const [batch, list] = candidates.shape;
    const { states, last } = encode.scan(candidates);
    const keys = ofCandidate(states);
    const left = new Float32Array(batch * list).fill(1);
    const chosen: Int32Array[] = [];
    let state = last;
    let next = tf.tile(start as tf.Tensor as tf.Tensor2D, [batch, 1]);
    let sums = tf.zeros([batch, list]) as tf.Tensor2D;
    for (let step = 0; step < steps; step++) {
      state = decode.step(next, state);
      const available = tf.tensor2d(left.slice(), [batch, list]);
      const query = tf.expandDims(ofDecoder(state.hidden), 1) as tf.Tensor3D;
      const logits = tf.reshape(nn.additiveScores(query, keys, weigh, "tanh"), [batch, list]);
      const logProbs = tf.logSoftmax(tf.add(logits, tf.mul(tf.sub(available, 1), 1e9)) as tf.Tensor2D);
      sums = tf.add(sums, tf.mul(tf.mul(logProbs, available), 1 / Math.log2(step + 2)));
      const best = tf.tidy(() => tf.argMax(tf.add(logits, tf.mul(tf.sub(available, 1), 1e9)), 1).dataSync<"int32">());
      chosen.push(best);
      const rows = best.map((place, row) => row * list + place);
      for (const at of rows) left[at] = 0;
      next = tf.gather(tf.reshape(candidates, [batch * list, hidden]), tf.tensor1d(rows, "int32")) as tf.Tensor2D;
    }
    return { sums, chosen };
  };
}

/** A list's sums dealt in the order in which its candidates were chosen: the slate's order, as scores. */
function inOrder(sums: tf.Tensor2D, chosen: readonly Int32Array[]): tf.Tensor2D {
  const [batch, list] = sums.shape;
  const values = sums.dataSync<"float32">();
  const scores = new Float32Array(batch * list);
  for (let row = 0; row < batch; row++) {
    const falling = values.slice(row * list, (row + 1) * list).sort((a, b) => b - a);
    for (const [step, places] of chosen.entries()) scores[row * list + (places[row] as number)] = falling[step] as number;
  }
  return tf.tensor2d(scores, [batch, list]);
}
