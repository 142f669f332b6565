/** Texts of SmolLM2 against transformers' `generate`, on the same weights. */
import { join } from "node:path";
import type { LlmBackend } from "../../framework/contracts/llm.js";
import type { LanguageModel } from "../../framework/language-model/model.js";
import { writeTensors } from "../../framework/store/tensors.js";
import type { EngineInfo } from "../../framework/tensor/engine.js";
import { type Figure, inTurn, timeFigure } from "./figures.js";
import {
  endless,
  exportedSmolLm2,
  type GenerationWork,
  loadSmolLm2,
  manyPrompts,
  onePrompt,
  parametersOf,
  promptTokens,
  requestsOf,
} from "./language-work.js";
import { Rival } from "./rival.js";
import { benchFolder } from "./workload.js";

/** Of many prompts the rival writes to these, and its time is taken as often as they fit: all at once would take minutes and gigabytes. */
const rivalPrompts = 8;
export const ofRivalPrompts = `the rival's time is ${manyPrompts.prompts / rivalPrompts} times that of ${rivalPrompts} prompts at once`;

export async function benchGeneration(engine: EngineInfo, rounds: number): Promise<Figure[]> {
  const loaded = await loadSmolLm2(engine);
  const model = endless(loaded.model);
  const rival = await startTransformers(model, await exportedSmolLm2(loaded));
  try {
    await secondsOf(model, { ...onePrompt, tokens: 4 });
    await rival.ask("generate", { prompts_at_once: 1, count: 1, samples: onePrompt.samples, tokens: 4 });
    const one = await inTurn(
      rounds,
      () => secondsOf(model, onePrompt),
      () => rivalSeconds(rival, onePrompt, 1),
    );
    const many = await inTurn(
      rounds,
      () => secondsOf(model, manyPrompts),
      () => rivalSecondsOfMany(rival),
    );
    return [
      timeFigure(nameOf(onePrompt), one, { text: ">= 1.0x", met: (_, ratio) => ratio >= 1 }, "against transformers' generate"),
      timeFigure(nameOf(manyPrompts), many, { text: ">= 1.5x", met: (_, ratio) => ratio >= 1.5 }, ofRivalPrompts),
    ];
  } finally {
    await rival.stop();
    model.dispose();
    loaded.dispose();
  }
}

export function nameOf({ prompts, samples, tokens }: GenerationWork): string {
  return `${prompts} x ${promptTokens} tokens, ${samples} x ${tokens} written`;
}

/** The rival of every sampler: transformers on `folder`, with the prompts as our tokenizer cuts them. */
export async function startTransformers({ codec }: LanguageModel, folder: string): Promise<Rival> {
  const path = join(benchFolder, "prompts.safetensors");
  const prompts = requestsOf(codec, manyPrompts).map(({ messages }) => codec.prompt(messages));
  const values = Int32Array.from(prompts.flatMap((prompt) => [...prompt]));
  await writeTensors(path, { prompts: { shape: [prompts.length, promptTokens], values } });
  return Rival.start("generation.py", path, { model: folder });
}

function secondsOf(model: LanguageModel, work: GenerationWork): Promise<number> {
  return secondsOfTexts(work, () => model.generate(requestsOf(model.codec, work), parametersOf(work)));
}

export async function secondsOfTexts(work: GenerationWork, write: () => ReturnType<LlmBackend["generate"]>): Promise<number> {
  const begun = performance.now();
  const texts = await write();
  const seconds = (performance.now() - begun) / 1000;
  mustBeWhole(texts.flat().reduce((sum, { tokens }) => sum + tokens, 0), work); // biome-ignore format: one line
  return seconds;
}

export async function rivalSecondsOfMany(rival: Rival): Promise<number> {
  return (await rivalSeconds(rival, { ...manyPrompts, prompts: rivalPrompts }, rivalPrompts)) * (manyPrompts.prompts / rivalPrompts);
}

async function rivalSeconds(rival: Rival, work: GenerationWork, atOnce: number): Promise<number> {
  const { prompts: count, samples, tokens } = work;
  const { seconds, tokens: written = 0 } = await rival.ask("generate", { prompts_at_once: atOnce, count, samples, tokens });
  mustBeWhole(written, work);
  return seconds;
}

function mustBeWhole(written: number, { prompts, samples, tokens }: GenerationWork): void {
  const expected = prompts * samples * tokens;
  if (written !== expected) throw new Error(`${written} tokens were written, not ${expected}`);
}
