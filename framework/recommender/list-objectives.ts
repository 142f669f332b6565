/** What the scores of a list are taught: objectives as an option that rerankers share. */
import type { OptionSchema } from "../contracts/plugin.js";
import type { RerankerNetwork } from "../contracts/recommender.js";
import { attentionRank, binaryCrossEntropy, listwiseSoftmax } from "../tensor/nn/index.js";

export const listLosses: Readonly<Record<"softmax" | "attention-rank" | "bce", RerankerNetwork["loss"]>> = {
  softmax: listwiseSoftmax,
  "attention-rank": attentionRank,
  bce: binaryCrossEntropy,
};
export type ListObjective = keyof typeof listLosses;

/** @param objective the default: what the reranker's paper does */
export function listObjective(objective: ListObjective): OptionSchema {
  return {
    enum: Object.keys(listLosses),
    default: objective,
    description: `\`softmax\`: cross-entropy over the list, labels normalised where several items are relevant; \`attention-rank\`: DLCM's, arXiv 1804.05936, where also not being relevant counts; \`bce\`: each candidate by itself. Published: \`${objective}\``,
  };
}
