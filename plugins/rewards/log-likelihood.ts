import { meanByText, options, plugin, type Reward, type RewardBatch } from "rlrf4rec";

interface LogLikelihoodOptions {
  readonly temperature: number;
}

@plugin({
  kind: "reward",
  name: "log-likelihood",
  version: "1.0.0",
  summary: "Log-probability of the relevant items under the softmax of a list's scores: dense, hardly ever tied",
  source: "Cao et al. 2007, Learning to rank: from pairwise approach to listwise approach (ListNet's top-one likelihood)",
  pure: true,
  options: {
    type: "object",
    properties: {
      temperature: { type: "number", exclusiveMinimum: 0, default: 1, unit: "logits", description: "Divides the scores." },
    },
  },
})
export class LogLikelihood implements Reward {
  readonly needs = [] as const;

  constructor(@options() private readonly options: LogLikelihoodOptions) {}

  /** sum_i y_i log softmax(scores / T)_i / sum_i y_i, the mean over a text's lists: at most 0, nats. */
  reward(batch: RewardBatch): Float64Array {
    const { scores, labels, length } = batch.lists;
    const values = Float64Array.from({ length: labels.length / length }, (_, list) => {
      const own = Float64Array.from(scores.subarray(list * length, (list + 1) * length), (score) => score / this.options.temperature);
      const relevance = labels.subarray(list * length, (list + 1) * length);
      const total = relevance.reduce((sum, label) => sum + label, 0);
      const most = own.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
      const normaliser = most + Math.log(own.reduce((sum, score) => sum + Math.exp(score - most), 0));
      return own.reduce((sum, score, i) => sum + (relevance[i] as number) * (score - normaliser), 0) / total; // NaN without a relevant item
    });
    return meanByText(batch, values);
  }
}
