import { meanByText, options, plugin, ranksOption, reciprocalRank, type Reward, type RewardBatch } from "rlrf4rec";

interface MrrOptions {
  readonly at: number;
}

/** 1 / rank of the first relevant candidate, 0 beyond k; the mean over a text's lists that have one, NaN where none has. Between 0 and 1. */
@plugin({
  kind: "reward",
  name: "mrr",
  version: "1.0.0",
  summary: "Reciprocal rank of the first relevant item with the text, 0 beyond k; the mean over the user's lists",
  source: "Voorhees 1999, TREC-8 question answering track report (mean reciprocal rank)",
  pure: true,
  options: {
    type: "object",
    properties: { at: ranksOption },
  },
})
export class MeanReciprocalRank implements Reward {
  readonly needs = [] as const;

  constructor(@options() private readonly options: MrrOptions) {}

  reward(batch: RewardBatch): Float64Array {
    const { scores, labels, length } = batch.lists;
    return meanByText(batch, reciprocalRank(scores, labels, length, this.options.at, batch.ties));
  }
}
