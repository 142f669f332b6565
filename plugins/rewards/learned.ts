import {
  AdamW,
  createRng,
  nn,
  options,
  Parameters,
  partOfBatch,
  plugin,
  rankCorrelation,
  type Reward,
  type RewardBatch,
  type RewardNeed,
  tf,
  valueAndGradients,
} from "rlrf4rec";

interface LearnedOptions {
  readonly reward: Reward;
  readonly share: number;
  readonly least: number;
  readonly heldOut: number;
  readonly hidden: number;
  readonly steps: number;
  readonly learningRate: number;
  readonly weightDecay: number;
}

const needs = ["vectors", "states"] as const;

@plugin({
  kind: "reward",
  name: "learned",
  version: "1.0.1",
  summary: "Another reward, measured on a share of the texts and predicted for the rest from text vector and encoder state",
  source:
    "Ziegler et al. 2019, arXiv 1909.08593 (reward models on frozen features); the user's mean as a baseline, shrunk as in James & Stein 1961",
  needs,
  measures: true,
  options: {
    type: "object",
    properties: {
      reward: { pluginKind: "reward", default: { plugin: "ndcg" }, description: "What is measured." },
      share: {
        type: "number",
        exclusiveMinimum: 0,
        maximum: 1,
        default: 0.3,
        unit: "share of texts",
        description: "Texts that are measured.",
      },
      least: {
        type: "integer",
        minimum: 2,
        default: 200,
        unit: "texts",
        description: "Texts that are measured at least: smaller batches whole.",
      },
      heldOut: {
        type: "number",
        exclusiveMinimum: 0,
        exclusiveMaximum: 1,
        default: 0.2,
        unit: "share of measured texts",
        description: "Texts that the reported rank correlation is of; the head then learns from all.",
      },
      hidden: { type: "integer", minimum: 1, default: 32, unit: "units", description: "Hidden layer of the head." },
      steps: { type: "integer", minimum: 1, default: 200, unit: "steps", description: "Passes over the measured texts." },
      learningRate: { type: "number", exclusiveMinimum: 0, default: 3e-3, unit: "step size", description: "Of AdamW." },
      weightDecay: {
        type: "number",
        minimum: 0,
        default: 1,
        unit: "share per step",
        description: "Decoupled, of AdamW: the head sees few texts.",
      },
    },
  },
})
export class Learned implements Reward {
  readonly needs: readonly RewardNeed[];
  readonly measures: { readonly share: number; readonly least: number };
  readonly reads?: "text" | "structure";

  constructor(@options() private readonly options: LearnedOptions) {
    this.needs = [...new Set([...needs, ...options.reward.needs])];
    this.measures = options;
    if (options.reward.reads !== undefined) this.reads = options.reward.reads;
  }

  /** What was measured stays as it is. Reports the rank correlation of predicted and measured rewards on held-out texts, overall and within users. */
  async reward(batch: RewardBatch): Promise<Float64Array> {
    const all = [...batch.texts.keys()];
    const missing = all.filter((text) => batch.unmeasured?.[text] === 1);
    const values = await this.measure(batch, all.filter((text) => batch.unmeasured?.[text] !== 1)); // biome-ignore format: one line
    const measured = all.filter((text) => !Number.isNaN(values[text]));
    if (missing.length === 0 || measured.length < 2) return values;
    const order = createRng("learned", measured.length).shuffle([...measured]);
    const heldOut = order.slice(0, Math.max(1, Math.round(this.options.heldOut * order.length)));
    const learnt = order.slice(heldOut.length);
    if (learnt.length > 0) {
      const predicted = this.predict(batch, values, learnt, heldOut);
      const truth = heldOut.map((text) => values[text] as number);
      const users = heldOut.map((text) => batch.texts[text]?.user as number);
      batch.report?.({
        rank_correlation: rankCorrelation(predicted, truth),
        rank_correlation_within_users: rankCorrelation(centred(predicted, users), centred(truth, users)),
        measured: measured.length,
        predicted: missing.length,
      });
    }
    const predicted = this.predict(batch, values, measured, missing);
    const result = Float64Array.from(values);
    for (const [i, text] of missing.entries()) result[text] = predicted[i] as number;
    return result;
  }

  /** The other reward is shown no text but these, for it may cost as much a text (`judge`). @returns [texts of the batch]; NaN for the others */
  private async measure(batch: RewardBatch, texts: readonly number[]): Promise<Float64Array> {
    const measured = await this.options.reward.reward(partOfBatch(batch, texts));
    const values = new Float64Array(batch.texts.length).fill(Number.NaN);
    for (const [i, text] of texts.entries()) values[text] = measured[i] as number;
    return values;
  }

  /** Baseline of the user plus a head on the features, both learnt from the texts `from`. @returns rewards of the texts `of` */
  private predict(batch: RewardBatch, values: Float64Array, from: readonly number[], of: readonly number[]): number[] {
    const baseline = baselines(batch, values, from);
    const base = (text: number) => baseline(batch.texts[text]?.user as number);
    const targets = from.map((text) => (values[text] as number) - base(text));
    const scale = Math.sqrt(targets.reduce((sum, target) => sum + target ** 2, 0) / targets.length) || 1;
    const { rows, width } = features(batch, from, of);
    const learned = this.head(rows.slice(0, from.length), width, targets.map((target) => target / scale), rows.slice(from.length)); // biome-ignore format: one line
    return of.map((text, i) => base(text) + scale * (learned[i] as number));
  }

  private head(inputs: readonly Float32Array[], width: number, targets: readonly number[], asked: readonly Float32Array[]): Float32Array {
    const parameters = new Parameters(createRng("learned reward"));
    const network = nn.mlp(parameters, width, [this.options.hidden, 1]);
    const variables = [...parameters.all.values()];
    const optimiser = new AdamW(variables, { ...this.options, clip: 1 });
    const matrix = (rows: readonly Float32Array[]) => tf.tensor2d(Float32Array.from(rows.flatMap((row) => [...row])), [rows.length, width]);
    const [x, y] = [matrix(inputs), tf.tensor2d([...targets], [targets.length, 1])];
    try {
      for (let step = 0; step < this.options.steps; step++) {
        const { gradients } = valueAndGradients(variables, () => tf.mean(tf.square(tf.sub(network(x, nn.evaluating), y))));
        optimiser.apply(gradients, 1 - step / this.options.steps);
        tf.dispose([...gradients]);
      }
      return tf.tidy(() => network(matrix(asked), nn.evaluating).dataSync<"float32">());
    } finally {
      tf.dispose([x, y]);
      optimiser.dispose();
      parameters.dispose();
    }
  }
}

/** The user's mean over the texts `from`, drawn to the mean of all as if one more text had that reward. */
function baselines({ texts }: RewardBatch, values: Float64Array, from: readonly number[]): (user: number) => number {
  const overall = from.reduce((sum, text) => sum + (values[text] as number), 0) / from.length;
  const sums = new Map<number, { sum: number; count: number }>();
  for (const text of from) {
    const user = texts[text]?.user as number;
    const { sum, count } = sums.get(user) ?? { sum: overall, count: 1 };
    sums.set(user, { sum: sum + (values[text] as number), count: count + 1 });
  }
  return (user) => {
    const own = sums.get(user);
    return own === undefined ? overall : own.sum / own.count;
  };
}

/** Text vector and encoder state beside each other, each number brought to mean 0 and deviation 1 over the texts `from`. */
function features({ vectors, states }: RewardBatch, from: readonly number[], of: readonly number[]) {
  if (vectors === undefined || states === undefined)
    throw new Error('a reward that reads features has "vectors" and "states" in its needs');
  const width = vectors.width + states.width;
  const rowOf = (text: number) => {
    const row = new Float32Array(width);
    row.set(vectors.values.subarray(text * vectors.width, (text + 1) * vectors.width));
    row.set(states.values.subarray(text * states.width, (text + 1) * states.width), vectors.width);
    return row;
  };
  const rows = [...from, ...of].map(rowOf);
  for (let column = 0; column < width; column++) {
    const known = rows.slice(0, from.length).map((row) => row[column] as number);
    const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
    const deviation = Math.sqrt(known.reduce((sum, value) => sum + (value - mean) ** 2, 0) / known.length) || 1;
    for (const row of rows) row[column] = ((row[column] as number) - mean) / deviation;
  }
  return { rows, width };
}

function centred(values: readonly number[], users: readonly number[]): number[] {
  const means = new Map<number, number>();
  for (const user of new Set(users)) {
    const own = values.filter((_, i) => users[i] === user);
    means.set(user, own.reduce((sum, value) => sum + value, 0) / own.length);
  }
  return values.map((value, i) => value - (means.get(users[i] as number) as number));
}
