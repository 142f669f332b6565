/** What a plugin may import, and all of it. */
export * as tf from "@tensorflow/tfjs-core";
export * from "./contracts/kinds.js";
export type * from "./contracts/plugin.js";
export type * from "./contracts/dataset.js";
export type * from "./contracts/recommender.js";
export type * from "./contracts/llm.js";
export type * from "./contracts/feedback.js";
export type * from "./contracts/tuner.js";
export type * from "./contracts/executor.js";
export { dropDuplicates, keepCore } from "./data/core.js";
export {
  type DelimitedFile,
  type DelimitedRow,
  type GoodRows,
  type OnBadRow,
  readRows,
  RowFaults,
  uniqueIds,
} from "./data/delimited.js";
export { type HeadedFile, headedFile } from "./data/headed.js";
export {
  delimitedRows,
  identifier,
  type InteractionColumns,
  type InteractionMeaning,
  type InteractionRows,
  jsonArrayRows,
  jsonLineRows,
  loadInteractions,
  missingColumns,
  parquetColumns,
  parquetRows,
} from "./data/interaction-files.js";
export { assertFile, type Encoding, firstLine, type TextLine, textLines } from "./data/text-lines.js";
export { withoutMarkup } from "./data/plain-text.js";
export { appendInteractions, appendItems, appendUsers, type InteractionRow } from "./data/records.js";
export { RlrfError } from "./errors.js";
export { assets, engine, logger, options, plugin, progress, rng, store } from "./kernel/plugin.js";
export { createRng } from "./rng.js";
export { AdamW, valueAndGradients } from "./tensor/optimiser.js";
export type { EngineInfo } from "./tensor/engine.js";
export { Parameters, type Initializer } from "./tensor/parameters.js";
export * from "./recommender/index.js";
export * as nn from "./tensor/nn/index.js";
export { bestOf, type Candidate, example, orderedPairs, ranked, selection, worseThan, worstOf } from "./feedback/candidates.js";
export { type GenerationOptions, generationOptions, generationParameters } from "./feedback/generation-options.js";
export { logisticLoss, logSigmoid, powerScore } from "./feedback/logistic.js";
export { unitVectors } from "./method/vectors.js";
export { logRatio } from "./feedback/log-ratio.js";
export { type BetaOption, betaOption, type LabelSmoothingOption, labelSmoothingOption } from "./feedback/loss-options.js";
export { column, detached, logProbOfTokens, logRatios, meanLogProb, meanOverRejected, perToken } from "./feedback/loss-parts.js";
export { mapBatches } from "./feedback/map-batches.js";
export { meanByText } from "./feedback/mean-by-text.js";
export { partOfBatch } from "./feedback/part-of-batch.js";
export { ranksOption } from "./feedback/ranks-option.js";
export { rankCorrelation } from "./metrics/rank-correlation.js";
export { averagePrecision, ndcg, reciprocalRank } from "./metrics/ranking.js";
export * as lm from "./language-model/index.js";
export * as tuning from "./tuning/index.js";
export * as units from "./executor/index.js";
export * as http from "./http/index.js";
export { importPeer } from "./setup/peer.js";
export { runCommand } from "./setup/command.js";
export * as files from "./store/files.js";
