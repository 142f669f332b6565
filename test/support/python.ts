/** Python environments for oracles and readers (MLflow's client, reference implementations). */
import { join } from "node:path";
import { createAssets } from "../../framework/setup/assets.js";

export { pythonEnvironment } from "../../framework/setup/python.js";

/** llama.cpp's own reader of its files. */
export const ggufPackages = ["gguf==0.19.0", "numpy==2.4.6"] as const;

/** An interpreter with transformers, PEFT and TRL: that of the tuner `trl`, which serves everything that asks for one of them. */
export async function trlPython(): Promise<string> {
  return join(await createAssets().folder("trl"), "bin", "python");
}
