/** From a GGUF file to a model that can write: weights and tokenizer, ours with the chat template and the file's hash, against transformers. */
import type { EngineInfo } from "../../framework/tensor/engine.js";
import { smollm2Path } from "../support/smollm2.js";
import { type Figure, inTurn, timeFigure } from "./figures.js";
import { loadSmolLm2 } from "./language-work.js";
import { Rival } from "./rival.js";

export async function benchLoading(engine: EngineInfo, rounds: number): Promise<Figure[]> {
  const rival = await Rival.start("loading.py", await smollm2Path(), {});
  try {
    const pairs = await inTurn(
      rounds,
      async () => {
        const begun = performance.now();
        const loaded = await loadSmolLm2(engine);
        const seconds = (performance.now() - begun) / 1000;
        loaded.dispose();
        return seconds;
      },
      async () => (await rival.ask("load")).seconds,
    );
    return [
      timeFigure("load SmolLM2, Q4_1", pairs, { text: ">= 5x", met: (_, ratio) => ratio >= 5 }, "against from_pretrained(gguf_file)"),
    ];
  } finally {
    await rival.stop();
  }
}
