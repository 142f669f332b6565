/** What an LLM plugin builds a decoder of its own from. */
export { type BpeTraining, trainBpe } from "./bpe-training.js";
export { type ChatCodec, ChatMl, chatTokens, stopBytes, TemplateChat, tokenizeExample } from "./chat.js";
export { ChatTemplate, type TemplateVariables, templateVariables } from "./checkpoint/chat-template.js";
export type { ChatDescription, Checkpoint, CheckpointLanguage } from "./checkpoint/checkpoint.js";
export { readGgufLanguage } from "./checkpoint/gguf-checkpoint.js";
export { ggufFile, openCheckpoint } from "./checkpoint/open.js";
export { TextTokenizer } from "./checkpoint/text-tokenizer.js";
export type { TokenizerJson } from "./checkpoint/tokenizer-json.js";
export { architectures } from "./config.js";
export type { Architecture, DecoderConfig, RopeConfig, RopeScaling } from "./config.js";
export { type Batching, contextError } from "./generate.js";
export { Lane } from "./lane.js";
export { LanguageModel } from "./model.js";
export { writeModelGguf } from "./model-gguf.js";
export { pretrain, type Pretraining, pretrainingSteps } from "./pretrain.js";
export { checkpointHash, codecOf, loadPublishedModel, modelPath, type PublishedModel } from "./published.js";
export { BpeTokenizer, type TokenizerState } from "./tokenizer.js";
export { type CheckpointTensor, createWeights, type DecoderWeights, disposeWeights, weightsFromCheckpoint } from "./weights.js";
