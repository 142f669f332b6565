/** What the benchmarks of language models work on: SmolLM2, and prompts and samples of a fixed length. */
import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { GenerationParameters, GenerationRequest } from "../../framework/contracts/llm.js";
import type { ChatCodec } from "../../framework/language-model/chat.js";
import { LanguageModel } from "../../framework/language-model/model.js";
import { loadPublishedModel, type PublishedModel } from "../../framework/language-model/published.js";
import { createRng } from "../../framework/rng.js";
import type { EngineInfo } from "../../framework/tensor/engine.js";
import { smollm2Path } from "../support/smollm2.js";
import { benchFolder } from "./workload.js";

/** So many samples of so many prompts, none of which ends before its last token. */
export interface GenerationWork {
  readonly prompts: number;
  readonly samples: number;
  readonly tokens: number;
}
export const onePrompt: GenerationWork = { prompts: 1, samples: 10, tokens: 80 };
export const manyPrompts: GenerationWork = { prompts: 32, samples: 10, tokens: 64 };

/** Tokens of each prompt, the chat's own included. */
export const promptTokens = 200;

const genres = [" drama", " comedy", " action", " horror", " romance", " war", " mystery", " crime"];

/** So many words, each one token, drawn by name. */
export function wordsOf(name: string, count: number): string {
  const rng = createRng("bench words", name);
  return Array.from({ length: count }, () => genres[rng.below(genres.length)]).join("");
}

/** A chat of exactly `promptTokens` tokens: each word is one. */
export function chatOf(codec: Pick<ChatCodec, "prompt">, index: number): GenerationRequest["messages"] {
  const begin = "Which films would a viewer like who saw these kinds:";
  const written = (words: number) => [
    {
      role: "user" as const,
      content: begin + wordsOf(`prompt ${index}`, words),
    },
  ];
  const messages = written(promptTokens - codec.prompt(written(0)).length);
  const found = codec.prompt(messages).length;
  if (found !== promptTokens) throw new Error(`the prompt has ${found} tokens, not ${promptTokens}`);
  return messages;
}

export function requestsOf(codec: Pick<ChatCodec, "prompt">, { prompts, samples }: GenerationWork): GenerationRequest[] {
  return Array.from({ length: prompts }, (_, index) => ({ user: `${index}`, messages: chatOf(codec, index), samples, seed: index }));
}

/** Plain sampling: what costs a rival least. */
export function parametersOf({ tokens }: GenerationWork): GenerationParameters {
  return { temperature: 1, topK: 0, topP: 1, minP: 0, maxTokens: tokens, stop: [] };
}

export async function loadSmolLm2(engine: EngineInfo): Promise<PublishedModel> {
  const silent = { start: () => ({ advance() {}, end() {} }) };
  return loadPublishedModel(await smollm2Path(), { engine, progress: silent, checkpointing: "auto", template: {} });
}

/** The same model, to which no token is an end: every sample has as many tokens as it may. */
export function endless({ config, weights, codec }: LanguageModel): LanguageModel {
  return new LanguageModel(config, weights, endlessCodec(codec));
}

export function endlessCodec(codec: ChatCodec): ChatCodec {
  return Object.create(codec, { endTokens: { value: new Set<number>() } }) as ChatCodec;
}

/** The same weights in Hugging Face's layout, for rivals; written once. */
export async function exportedSmolLm2({ model, hash }: PublishedModel): Promise<string> {
  const folder = join(benchFolder, `smollm2-${hash.slice(0, 12)}`);
  if (existsSync(folder)) return folder;
  const temporary = `${folder}.tmp`;
  await rm(temporary, { recursive: true, force: true });
  await mkdir(temporary, { recursive: true });
  await model.exportModel(temporary);
  await rename(temporary, folder);
  return folder;
}
