import { averagePrecision, meanByText, options, plugin, ranksOption, type Reward, type RewardBatch } from "rlrf4rec";

interface MapOptions {
  readonly at: number;
}

/**
 * AP@k = Σ of precision@rank at the ranks ≤ k of relevant candidates / min(k, relevant ones); the mean over a text's lists that have one, NaN where
 * none has. Between 0 and 1.
 */
@plugin({
  kind: "reward",
  name: "map",
  version: "1.0.0",
  summary: "Average precision at k of the recommender's ranking with the text, the mean over the user's lists",
  source:
    "Manning et al. 2008, Introduction to Information Retrieval, section 8.4; divided by min(k, relevant items), as in KAR, arXiv 2306.10933",
  pure: true,
  options: {
    type: "object",
    properties: { at: ranksOption },
  },
})
export class MeanAveragePrecision implements Reward {
  readonly needs = [] as const;

  constructor(@options() private readonly options: MapOptions) {}

  reward(batch: RewardBatch): Float64Array {
    const { scores, labels, length } = batch.lists;
    return meanByText(batch, averagePrecision(scores, labels, length, this.options.at, batch.ties));
  }
}
