/** Texts of SmolLM2 by llama.cpp, on its four-bit file, against transformers' `generate` on the same weights in float32. */
import type { LlmBackend } from "../../framework/contracts/llm.js";
import type { PluginClass } from "../../framework/contracts/plugin.js";
import type { ChatCodec } from "../../framework/language-model/chat.js";
import type { EngineInfo } from "../../framework/tensor/engine.js";
import { withPlugin } from "../../framework/testing/index.js";
import { LlamaCpp } from "../../plugins/llms/llama-cpp.js";
import { installLlamaCpp } from "../support/llama-cpp.js";
import { smollm2Path } from "../support/smollm2.js";
import { type Figure, inTurn, timeFigure } from "./figures.js";
import { nameOf, ofRivalPrompts, rivalSecondsOfMany, secondsOfTexts, startTransformers } from "./generation.js";
import { endlessCodec, exportedSmolLm2, loadSmolLm2, manyPrompts, onePrompt, parametersOf, requestsOf } from "./language-work.js";

export async function benchLlamaCpp(engine: EngineInfo, rounds: number): Promise<Figure[]> {
  await installLlamaCpp();
  const loaded = await loadSmolLm2(engine);
  const { codec } = loaded.model;
  const rival = await exportedSmolLm2(loaded)
    .then((folder) => startTransformers(loaded.model, folder))
    .finally(() => loaded.dispose());
  const subject = { plugin: LlamaCpp as PluginClass<LlmBackend>, options: { model: await smollm2Path(), device: "cpu" } };
  try {
    return await withPlugin(subject, async (llm) => {
      await llm.prepare({ dialogues: [] });
      neverEnds(llm);
      const written = manyPrompts.prompts * manyPrompts.samples * manyPrompts.tokens;
      const write = (work: typeof manyPrompts) => () => llm.generate(requestsOf(codec, work), parametersOf(work));
      await write({ ...onePrompt, tokens: 4 })();
      const pairs = await inTurn(
        rounds,
        () => secondsOfTexts(manyPrompts, write(manyPrompts)),
        () => rivalSecondsOfMany(rival),
      );
      const rate = Math.round(written / Math.min(...pairs.map(({ ours }) => ours)));
      const mark = { text: ">= 2.5x", met: (_: number, ratio: number) => ratio >= 2.5 };
      return [timeFigure(`llama-cpp: ${nameOf(manyPrompts)}`, pairs, mark, `${rate} tokens/s at best; ${ofRivalPrompts}`)];
    });
  } finally {
    await rival.stop();
  }
}

/** No token is an end: every text has as many tokens as it may. */
function neverEnds(llm: LlmBackend): void {
  const loaded = Reflect.get(llm, "loaded") as { readonly codec: ChatCodec };
  Reflect.set(loaded, "codec", endlessCodec(loaded.codec));
}
