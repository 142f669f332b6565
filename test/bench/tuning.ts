/** LoRA DPO on SmolLM2, a pair a step: ours against plain PyTorch with PEFT, and against TRL's own trainer. Each side in a process of its own. */
import { join } from "node:path";
import { writeTensors } from "../../framework/store/tensors.js";
import { packageRoot } from "../../framework/setup/paths.js";
import type { EngineInfo } from "../../framework/tensor/engine.js";
import { type Figure, inTurn, memoryFigure, timeFigure } from "./figures.js";
import { exportedSmolLm2, loadSmolLm2, promptTokens } from "./language-work.js";
import { Rival, type Timed } from "./rival.js";
import { beta, completionTokens, lora, preferencePairs, settings } from "./tuning-work.js";
import { benchFolder } from "./workload.js";

/** Steps of one timing. */
const pairs = 3;

export async function benchTuning(engine: EngineInfo, rounds: number): Promise<Figure[]> {
  const { folder, path } = await shared(engine);
  const options = { model: folder, ...lora, learningRate: settings.learningRate, beta };
  const note = `2 x ${promptTokens + completionTokens} tokens, ${promptTokens} shared; reference, gradients, AdamW`;
  const figures: Figure[] = [];
  for (const [by, name, least] of [
    ["plain", "PyTorch and PEFT", 1],
    ["trl", "TRL", 1.8],
  ] as const) {
    const ours = await Rival.ofNode(join(packageRoot, "dist", "test", "bench", "tuning-child.js"));
    const rival = await Rival.start("tuning.py", path, { ...options, by });
    try {
      for (const side of [ours, rival]) await side.ask("tune", { pairs: 1 });
      const peaks = { ours: 0, rival: 0 };
      const spent = { ours: 0, rival: 0 };
      const step = async (side: "ours" | "rival"): Promise<number> => {
        const { seconds, bytes = 0, processor = 0 }: Timed = await (side === "ours" ? ours : rival).ask("tune", { pairs });
        peaks[side] = Math.max(peaks[side], bytes);
        spent[side] += processor / pairs / rounds;
        return seconds / pairs;
      };
      const timed = await inTurn(
        rounds,
        () => step("ours"),
        () => step("rival"),
      );
      const mark = { text: `>= ${least.toFixed(1)}x`, met: (_: number, ratio: number) => ratio >= least };
      const processor = `processor time ${spent.ours.toFixed(2)} s against ${spent.rival.toFixed(2)} s`;
      figures.push(timeFigure(`a DPO pair, against ${name}`, timed, mark, `${note}; ${processor}`));
      const most = 2.7e9;
      if (by === "trl")
        figures.push(memoryFigure("its peak memory", peaks, { text: "<= 2.7 GB", met: (bytes) => bytes <= most }, `against ${name}'s`));
    } finally {
      await ours.stop();
      await rival.stop();
    }
  }
  return figures;
}

/** What the rivals read: the same weights, and the pairs as our tokenizer cuts them. */
async function shared(engine: EngineInfo): Promise<{ readonly folder: string; readonly path: string }> {
  const loaded = await loadSmolLm2(engine);
  try {
    const { codec } = loaded.model;
    const examples = preferencePairs(codec, pairs);
    const tensor = (rows: readonly Int32Array[]) => ({
      shape: [rows.length, rows[0]?.length ?? 0],
      values: Int32Array.from(rows.flatMap((row) => [...row])),
    });
    const path = join(benchFolder, "pairs.safetensors");
    await writeTensors(path, {
      prompts: tensor(examples.map(({ messages }) => codec.prompt(messages))),
      chosen: tensor(examples.map(({ chosen }) => codec.completion(chosen.text, false))),
      rejected: tensor(examples.map(({ rejected }) => codec.completion(rejected[0]?.text ?? "", false))),
    });
    return { folder: await exportedSmolLm2(loaded), path };
  } finally {
    loaded.dispose();
  }
}
