/** Python environments for oracles and readers (MLflow's client, reference implementations). */
export { pythonEnvironment } from "../../framework/setup/python.js";

/** llama.cpp's own reader of its files. */
export const ggufPackages = ["gguf==0.19.0", "numpy==2.4.6"] as const;

/** transformers, PEFT and TRL: one environment for all that asks for any of them, the same as the tuner `trl`'s own. */
export const trlPackages = [
  "torch==2.13.0",
  "transformers==5.23.0",
  "trl==1.16.0",
  "peft==0.21.2",
  "accelerate==1.15.0",
  "datasets==5.2.0",
] as const;
