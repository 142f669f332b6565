/** Small decoders with a language, for tests. */
import * as tf from "@tensorflow/tfjs-core";
import type { LoraOptions } from "../../framework/contracts/llm.js";
import { trainBpe } from "../../framework/language-model/bpe-training.js";
import { ChatMl, chatTokens } from "../../framework/language-model/chat.js";
import type { DecoderConfig } from "../../framework/language-model/config.js";
import type { Batching } from "../../framework/language-model/generate.js";
import { LanguageModel, type TuningLimits } from "../../framework/language-model/model.js";
import { BpeTokenizer } from "../../framework/language-model/tokenizer.js";
import { createWeights } from "../../framework/language-model/weights.js";
import { createRng } from "../../framework/rng.js";
import { Parameters } from "../../framework/tensor/parameters.js";

const texts = [
  "user\nWhat does a viewer of drama, comedy and horror like?",
  "assistant\nGenre: Drama\nAvoids: Horror",
  "Genre: Comedy, Drama",
];

/** A codec whose vocabulary is a little more than the bytes. */
export function testCodec(vocabulary = 300): { readonly tokenizer: BpeTokenizer; readonly codec: ChatMl } {
  const tokenizer = new BpeTokenizer(trainBpe([...texts, ...texts], { vocabulary, special: chatTokens }));
  return { tokenizer, codec: new ChatMl(tokenizer) };
}

export function testConfig(changes: Partial<DecoderConfig> = {}): DecoderConfig {
  return {
    vocabulary: 300,
    hidden: 16,
    layers: 2,
    heads: 4,
    kvHeads: 2,
    headDim: 4,
    intermediate: 24,
    context: 256,
    normEpsilon: 1e-5,
    rope: { theta: 10_000, scaling: null },
    tiedHead: true,
    qkvBias: false,
    qkNorm: false,
    ...changes,
  };
}

export interface TestModel {
  readonly model: LanguageModel;
  readonly parameters: Parameters;
  readonly tokenizer: BpeTokenizer;
  dispose(): void;
}

/** A random decoder; its weights depend on the seed alone. */
export function testModel(changes: Partial<DecoderConfig> = {}, seed = 1, batching?: Batching, limits?: TuningLimits): TestModel {
  const { tokenizer, codec } = testCodec();
  const config = testConfig({ ...changes, vocabulary: tokenizer.vocabulary });
  const parameters = new Parameters(createRng(seed, "test decoder"));
  const model = new LanguageModel(config, createWeights(config, parameters), codec, batching, limits);
  const dispose = () => {
    model.dispose();
    parameters.dispose();
  };
  return { model, parameters, tokenizer, dispose };
}

export const allProjections = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"] as const;

/** Gives a policy's adapter values that no initialiser would. */
export function shake(model: LanguageModel, options: LoraOptions): void {
  model.attach(options, 1);
  for (const [i, variable] of model.trainable().entries())
    tf.tidy(() => variable.assign(tf.randomNormal(variable.shape, 0, 0.3, "float32", 7 + i)));
}
