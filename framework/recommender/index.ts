/** What recommenders of many papers share. */
export { type AdaptedOutput, adaptedOutput, rectifiedOutput } from "./adapted-output.js";
export { attentionDropout, headsOption } from "./attention-options.js";
export { type Experts, type ExpertShape, experts, mixture } from "./experts.js";
export { fitOptions } from "./fit-options.js";
export { type Adapt, type Join, type JoinOptions, joinedAdaptor, joinOptions } from "./joins.js";
export { type ListObjective, listLosses, listObjective } from "./list-objectives.js";
export { type Drawn, drawNegatives } from "./negatives.js";
export { type Batch, batchOf, everyNext, historiesOf, type Questions, someNext } from "./next-items.js";
export { type Catalogue, nextItemLoss, type Objective, type ObjectiveOptions, objectiveOptions } from "./objectives.js";
export {
  type CausalModel,
  catalogueOf,
  causalEncoder,
  type HistoryModel,
  historyEncoder,
  realOf,
  stateFeatures,
  withOne,
} from "./state-encoder.js";
export { widthsOption } from "./widths-option.js";
