import {
  type FitOptions,
  fitOptions,
  headsOption,
  type ListHistory,
  type ListObjective,
  listLosses,
  listObjective,
  nn,
  options,
  type Parameters,
  plugin,
  type Reranker,
  type RerankerNetwork,
  type RerankerShape,
  tf,
  widthsOption,
} from "rlrf4rec";

export interface MirOptions extends FitOptions {
  readonly embedding: number;
  readonly hidden: number;
  readonly units: number;
  readonly heads: number;
  readonly history: number;
  readonly mlp: readonly number[];
  readonly dropout: number;
  readonly positions: boolean;
  readonly objective: ListObjective;
}

/**
 * The set of candidates and the list of what came before, each within itself and then each against the other. Both sides carry the
 * texts' vectors where there are texts, which a public release of KAR's MIR leaves out.
 */
@plugin({
  kind: "reranker",
  name: "mir",
  version: "1.0.0",
  summary: "Multi-level interaction reranking: the candidates against the user's history, recent items first",
  source:
    "Xi et al. 2022, arXiv 2204.09370, section 4, the feature-level affinity being part of the item-level one (an item has no fields of equal width here), time as the number of interactions since; embedding, MLP, batch size and schedule as in KAR, arXiv 2306.10933, whose public MIR attends with two heads, reads the history by a GRU of one direction, forgets nothing and has no dropout",
  options: {
    type: "object",
    properties: {
      embedding: { type: "integer", minimum: 1, default: 32, description: "Width of the learned item-ID embedding" },
      hidden: { type: "integer", minimum: 1, default: 64, description: "Width that candidates and history are brought to" },
      units: { type: "integer", minimum: 1, default: 64, description: "Units of each direction of the history's LSTM" },
      heads: headsOption(1),
      history: {
        type: "integer",
        minimum: 1,
        default: 30,
        unit: "items",
        description: "Interactions right before the list, at most; protocol.history bounds them",
      },
      mlp: widthsOption([200, 80], "Hidden widths of the final MLP"),
      dropout: { type: "number", minimum: 0, exclusiveMaximum: 1, default: 0.1, description: "Dropout of the MLP" },
      positions: {
        type: "boolean",
        default: false,
        description:
          "Weights of an attention row for each place in the list, as published; false: the same for all, so that the order of a shuffled list cannot matter",
      },
      objective: listObjective("bce"),
      ...fitOptions({ epochs: 12, batchSize: 256, learningRate: 1e-3, weightDecay: 1, patience: 4 }, "reranker"),
    },
  },
})
export class Mir implements Reranker {
  readonly fit: FitOptions;
  readonly embedding: number;
  readonly history: number;

  constructor(@options() private readonly options: MirOptions) {
    this.fit = options;
    this.embedding = options.embedding;
    this.history = options.history;
  }

  build(scope: Parameters, shape: RerankerShape): RerankerNetwork {
    const { hidden, units, heads, mlp, dropout, positions, objective } = this.options;
    const input = nn.dense(scope.scope("input"), { inputs: shape.width, outputs: hidden });
    const attend = nn.selfAttention(scope.scope("set"), { width: hidden, heads });
    const read = historyReader(scope.scope("list"), shape.historyWidth, hidden, units);
    const [setWidth, listWidth] = [2 * hidden, hidden + 2 * units];
    const meet = setToList(scope.scope("meet"), { setWidth, listWidth, places: positions ? shape.list : 1, decay: hidden });
    const norm = nn.layerNorm(scope.scope("norm"), hidden + setWidth + listWidth);
    const output = nn.mlp(scope.scope("output"), hidden + setWidth + listWidth, [...mlp, 1], dropout);
    return {
      score: (features, mode, history) => {
        if (history === undefined) throw new Error("mir asks for a history");
        const [batch, list] = features.shape;
        const candidates = input(features); // [batch, list, hidden]
        const flat = tf.reshape(candidates, [batch * list, hidden]) as tf.Tensor2D;
        const set = tf.concat([candidates, tf.reshape(attend(flat, batch), [batch, list, hidden])], 2) as tf.Tensor3D;
        const { items, states } = read(history);
        const met = meet(set, states, items, history.real);
        const joined = tf.reshape(tf.concat([candidates, ...met], 2), [batch * list, hidden + setWidth + listWidth]);
        return tf.reshape(output(norm(joined as tf.Tensor2D), mode), [batch, list]);
      },
      loss: listLosses[objective],
    };
  }
}

/** The history's items beside what a bidirectional LSTM makes of them; 0 at padding. */
function historyReader(scope: Parameters, width: number, hidden: number, units: number) {
  const input = nn.dense(scope.scope("input"), { inputs: width, outputs: hidden });
  const forward = nn.lstm(scope.scope("forward"), { inputs: hidden, hidden: units });
  const backward = nn.lstm(scope.scope("backward"), { inputs: hidden, hidden: units });
  return ({ items: raw, real }: ListHistory): { items: tf.Tensor3D; states: tf.Tensor3D } => {
    const items = tf.mul(input(raw), tf.expandDims(real, 2)) as tf.Tensor3D; // [batch, length, hidden]
    const ahead = forward.scan(items, real).states;
    const back = tf.reverse(backward.scan(tf.reverse(items, 1), tf.reverse(real, 1)).states, 1);
    return { items, states: tf.concat([items, ahead, back], 2) };
  };
}

interface MeetingShape {
  readonly setWidth: number;
  readonly listWidth: number;
  /** Rows of weights: one for each place of the list, or one for all. */
  readonly places: number;
  /** Width of what a user's rate of forgetting is told from. */
  readonly decay: number;
}

/**
 * Set-to-list attention of candidates V and history Q: C = tanh(A + A e^{-θt}), A = Q W Vᵀ, θ a user's rate of forgetting, t the log of
 * how many interactions ago; then each side is weighed by tanh(V w + (Q u)ᵀ C) and tanh((Q u)ᵀ + V w Cᵀ) under a softmax.
 * @returns V's side [batch, list, setWidth] and Q's [batch, list, listWidth]
 */
function setToList(scope: Parameters, { setWidth, listWidth, places, decay }: MeetingShape) {
  const affinity = nn.linear(scope.scope("affinity"), { inputs: listWidth, outputs: setWidth }); // W
  const ofSet = nn.linear(scope.scope("set"), { inputs: setWidth, outputs: places }); // w
  const ofList = nn.linear(scope.scope("list"), { inputs: listWidth, outputs: places }); // u
  const forget = [
    nn.dense(scope.scope("forget0"), { inputs: decay, outputs: decay, activation: "relu" }),
    nn.dense(scope.scope("forget1"), { inputs: decay, outputs: 1 }),
  ] as const;
  return (set: tf.Tensor3D, list: tf.Tensor3D, items: tf.Tensor3D, real: tf.Tensor2D): [tf.Tensor3D, tf.Tensor3D] => {
    const [candidates, length] = [set.shape[1], list.shape[1]];
    const counts = tf.maximum(tf.sum(real, 1, true), 1); // [batch, 1]
    const profile = tf.div(tf.sum(items, 1), counts) as tf.Tensor2D; // [batch, hidden]
    const rate = tf.expandDims(tf.softplus(forget[1](forget[0](profile))), 1); // [batch, 1, 1]
    const ago = tf.tensor3d(
      Float32Array.from({ length }, (_, i) => Math.log2(length - i)),
      [1, length, 1],
    );
    const plain = tf.matMul(affinity(list), set, false, true); // [batch, length, candidates]
    const kept = tf.mul(tf.add(1, tf.exp(tf.neg(tf.mul(rate, ago)))), tf.expandDims(real, 2)); // [batch, length, 1]
    const common = tf.tanh(tf.mul(plain, kept)) as tf.Tensor3D;
    const inSet = ofSet(set); // [batch, candidates, places]
    const inList = tf.transpose(ofList(list), [0, 2, 1]); // [batch, places, length]
    const wide = places === 1 ? tf.tile(inSet, [1, 1, candidates]) : inSet; // [batch, candidates, candidates]
    const overSet = tf.softmax(tf.tanh(tf.add(inSet, tf.matMul(inList, common)))); // [batch, candidates, candidates]
    const padding = tf.mul(tf.expandDims(tf.sub(real, 1), 1), 1e9); // [batch, 1, length]
    const overList = tf.softmax(tf.add(tf.tanh(tf.add(inList, tf.matMul(wide, common, false, true))), padding));
    return [tf.matMul(overSet as tf.Tensor3D, set), tf.matMul(overList as tf.Tensor3D, list)];
  };
}
