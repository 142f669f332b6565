/** What an LLM plugin builds a decoder of its own from. */
export { type BpeTraining, trainBpe } from "./bpe-training.js";
export { type ChatCodec, ChatMl, chatTokens } from "./chat.js";
export type { DecoderConfig, RopeConfig, RopeScaling } from "./config.js";
export type { Batching } from "./generate.js";
export { LanguageModel } from "./model.js";
export { pretrain, type Pretraining, pretrainingSteps } from "./pretrain.js";
export { BpeTokenizer, type TokenizerState } from "./tokenizer.js";
export { type CheckpointTensor, createWeights, type DecoderWeights, weightsFromCheckpoint } from "./weights.js";
