import {
  createRng,
  type FitOptions,
  fitOptions,
  type ListObjective,
  listLosses,
  listObjective,
  type Mode,
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

export interface GsfOptions extends FitOptions {
  readonly embedding: number;
  readonly group: number;
  readonly mlp: readonly number[];
  readonly dropout: number;
  readonly objective: ListObjective;
}

/** One network scores m candidates at a time; a candidate's score is the mean over the groups that it stands in, at each of its places. */
@plugin({
  kind: "reranker",
  name: "gsf",
  version: "1.0.0",
  summary: "Groupwise scoring functions: candidates scored a few at a time, all groups averaged",
  source:
    "Ai et al. 2019, arXiv 1811.04415, eqs. 4-7; the mean over groups instead of the sum, so that fewer groups in training change no scale",
  options: {
    type: "object",
    properties: {
      embedding: { type: "integer", minimum: 1, default: 32, description: "Width of the learned item-ID embedding" },
      group: {
        type: "integer",
        minimum: 1,
        default: 2,
        unit: "candidates",
        atMost: "/protocol/listLength",
        description: "m: candidates of a group",
      },
      mlp: widthsOption([256, 128, 64], "Hidden widths of the network; the paper's have batch normalisation"),
      dropout: { type: "number", minimum: 0, exclusiveMaximum: 1, default: 0.1, description: "Dropout of the network" },
      objective: listObjective("softmax"),
      ...fitOptions({ epochs: 12, batchSize: 256, learningRate: 1e-3, weightDecay: 1, patience: 4 }, "reranker"),
    },
  },
})
export class GroupwiseScoring implements Reranker {
  readonly fit: FitOptions;
  readonly embedding: number;

  constructor(@options() private readonly options: GsfOptions) {
    this.fit = options;
    this.embedding = options.embedding;
  }

  build(scope: Parameters, { width, list }: RerankerShape): RerankerNetwork {
    const { mlp, dropout, objective } = this.options;
    const group = Math.min(this.options.group, list);
    const output = nn.mlp(scope.scope("output"), group * width, [...mlp, group], dropout);
    const everyGroup = groups(list, group);
    return {
      score: (features, mode) => {
        const batch = features.shape[0];
        const places = mode.training ? someGroups(list, group, mode) : everyGroup; // [groups * group]
        const count = places.length / group;
        const rows = Int32Array.from({ length: batch * places.length }, (_, i) => {
          const row = Math.floor(i / places.length);
          return row * list + (places[i % places.length] as number);
        });
        const members = tf.gather(tf.reshape(features, [batch * list, width]), tf.tensor1d(rows, "int32"));
        const scores = output(tf.reshape(members, [batch * count, group * width]), mode); // [batch * groups, group]
        return tf.matMul(tf.reshape(scores, [batch, places.length]) as tf.Tensor2D, meanOf(places, list));
      },
      loss: listLosses[objective],
    };
  }
}

/** Groups beyond this are drawn instead of listed: as many, or one for each candidate where there are more of these. */
const mostGroups = 1024;

/** Every ordered group of the list, or the windows of some fixed orders where these are too many. */
function groups(list: number, group: number): Int32Array {
  let all: number[][] = [[]];
  for (let place = 0; place < group; place++) {
    all = all.flatMap((some) =>
      Array.from({ length: list }, (_, i) => [...some, i]).filter((next) => !some.includes(next.at(-1) as number)),
    );
    if (all.length > mostGroups) {
      const rng = createRng("groups", list, group);
      const count = Math.max(1, Math.floor(mostGroups / list)); // in one order at least, or a long list's candidates would stand in no group
      const orders = Array.from({ length: count }, () => rng.shuffle(Array.from({ length: list }, (_, i) => i)));
      return Int32Array.from(orders.flatMap((order) => windows(order, group)));
    }
  }
  return Int32Array.from(all.flat());
}

/** The windows of one random order, as the paper trains: each candidate stands at each place once. */
function someGroups(list: number, group: number, mode: Mode): Int32Array {
  const order = createRng("groups", mode.nextSeed()).shuffle(Array.from({ length: list }, (_, i) => i));
  return Int32Array.from(windows(order, group));
}

/** Neighbours in a circle. */
function windows(order: readonly number[], group: number): number[] {
  return order.flatMap((_, start) => Array.from({ length: group }, (_, i) => order[(start + i) % order.length] as number));
}

/** @returns [places, list]: each candidate's share of the mean of its own entries */
function meanOf(places: Int32Array, list: number): tf.Tensor2D {
  const values = new Float32Array(places.length * list);
  for (const [i, place] of places.entries()) values[i * list + place] = list / places.length;
  return tf.tensor2d(values, [places.length, list]);
}
