import { meanByText, ndcg, options, plugin, ranksOption, type Reward, type RewardBatch } from "rlrf4rec";

interface NdcgOptions {
  readonly at: number;
}

/**
 * DCG@k / ideal DCG@k, DCG@k = Σ_{rank ≤ k} (2^label - 1) / log2(rank + 1); the mean over a text's lists that have a relevant candidate, NaN where
 * there is none. Between 0 and 1.
 */
@plugin({
  kind: "reward",
  name: "ndcg",
  version: "1.0.0",
  summary: "NDCG@k of the recommender's ranking with the text, the mean over the user's lists",
  source: "RLRF4Rec, arXiv 2410.05939; Järvelin & Kekäläinen 2002",
  pure: true,
  options: {
    type: "object",
    properties: { at: ranksOption },
  },
})
export class Ndcg implements Reward {
  readonly needs = [] as const;

  constructor(@options() private readonly options: NdcgOptions) {}

  reward(batch: RewardBatch): Float64Array {
    const { scores, labels, length } = batch.lists;
    return meanByText(batch, ndcg(scores, labels, length, this.options.at, batch.ties));
  }
}
