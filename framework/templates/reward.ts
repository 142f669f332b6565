import { meanByText, plugin, type Reward, type RewardBatch } from "rlrf4rec";

@plugin({
  kind: "reward",
  name: "@team/package/name",
  version: "1.0.0",
  summary: "Share of a list's pairs of a relevant and another candidate that are in the right order",
  source: "the area under the ROC curve as in Hanley & McNeil 1982; a tie counts one half",
  pure: true,
})
export class Template implements Reward {
  readonly needs = [] as const;

  /** @returns [texts], higher is better; NaN where no list has a relevant candidate */
  reward(batch: RewardBatch): Float64Array {
    const { scores, labels, length } = batch.lists;
    const lists = Float64Array.from(batch.lists.text, (_, list) => {
      const [from, to] = [list * length, (list + 1) * length];
      return ordered(scores.subarray(from, to), labels.subarray(from, to));
    });
    return meanByText(batch, lists);
  }
}

function ordered(scores: Float32Array, labels: Uint8Array): number {
  let pairs = 0;
  let right = 0;
  for (const [i, score] of scores.entries()) {
    if (!labels[i]) continue;
    for (const [j, other] of scores.entries()) {
      if (labels[j]) continue;
      pairs++;
      right += score > other ? 1 : score === other ? 0.5 : 0;
    }
  }
  return right / pairs; // 0 / 0 = NaN
}
