/** From a published checkpoint to a language model that writes and can be tuned. */
import { isAbsolute, resolve } from "node:path";
import type { Assets, Progress } from "../contracts/plugin.js";
import { RlrfError } from "../errors.js";
import { hashFile, hashOf } from "../store/hash.js";
import type { EngineInfo } from "../tensor/engine.js";
import { requireTensorMemory } from "../tensor/engine.js";
import { TemplateChat } from "./chat.js";
import { ChatTemplate, type TemplateVariables, withVariables } from "./checkpoint/chat-template.js";
import { type CheckpointLanguage, checkpointShapes } from "./checkpoint/checkpoint.js";
import { openCheckpoint } from "./checkpoint/open.js";
import { TextTokenizer } from "./checkpoint/text-tokenizer.js";
import { loadingBytes } from "./memory.js";
import { LanguageModel, type TuningLimits } from "./model.js";
import { disposeWeights, weightsFromCheckpoint } from "./weights.js";

export interface PublishedModel {
  readonly model: LanguageModel;
  /** Of the content of all files that decide what it writes. */
  readonly hash: string;
  /** Frees the model and its weights. */
  dispose(): void;
}

export interface PublishedModelOptions {
  readonly engine: EngineInfo;
  readonly progress: Progress;
  readonly checkpointing: TuningLimits["checkpointing"];
  readonly template: TemplateVariables;
}

/** @throws RLRF_CHECKPOINT_…, RLRF_CHAT_TEMPLATE, RLRF_ENGINE_MEMORY before anything is loaded, RLRF_FILE_… */
export async function loadPublishedModel(
  path: string,
  { engine, progress, checkpointing, template }: PublishedModelOptions,
): Promise<PublishedModel> {
  const checkpoint = await openCheckpoint(path);
  try {
    const { config } = checkpoint;
    requireTensorMemory(engine, loadingBytes(config), `the language model of ${path}`);
    const codec = codecOf(checkpoint, template);
    const hash = await checkpointHash(checkpoint);
    const task = progress.start("language model", checkpointShapes(config).size, "tensors");
    const weights = await weightsFromCheckpoint(config, (name) => {
      task.advance();
      return checkpoint.read(name);
    }).finally(() => task.end());
    const model = new LanguageModel(config, weights, codec, undefined, { checkpointing, engine });
    return {
      model,
      hash,
      dispose: () => {
        model.dispose();
        disposeWeights(weights);
      },
    };
  } finally {
    await checkpoint.close();
  }
}

/** The chat form that a checkpoint brings. @param variables of its template @throws RLRF_CHAT_TEMPLATE, RLRF_CHECKPOINT_… */
export function codecOf({ path, tokenizer, chat }: CheckpointLanguage, variables: TemplateVariables = {}): TemplateChat {
  if (chat.template === null)
    throw new RlrfError("RLRF_CHAT_TEMPLATE", {
      message: "the model has no chat template",
      where: path,
      hint: "choose a model that was tuned on instructions, or put a chat_template.jinja into its folder",
    });
  const template = new ChatTemplate(path, withVariables(path, chat.template, variables), chat.variables);
  return new TemplateChat(new TextTokenizer(path, tokenizer), template, chat.endTokens);
}

/** Names the weights: of the content of all files that decide what the model writes. */
export async function checkpointHash({ files }: CheckpointLanguage): Promise<string> {
  return hashOf(await Promise.all(files.map(hashFile)));
}

/** What a plugin's option `model` names: an asset's id, or, with a slash in it, the path of a file or folder. */
export function modelPath(model: string, assets: Assets): Promise<string> {
  return isAbsolute(model) || /[\\/]/.test(model) ? Promise.resolve(resolve(model)) : assets.folder(model);
}
