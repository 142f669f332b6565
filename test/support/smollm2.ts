/** The asset that tests of real checkpoints share. */
import { join } from "node:path";
import { createAssets } from "../../framework/setup/assets.js";

export const smollm2 = "smollm2-135m-instruct";

/** The GGUF file; fetched by the first test of a machine that asks for it. */
export async function smollm2Path(): Promise<string> {
  return join(await createAssets().folder(smollm2), "SmolLM2-135M-Instruct.Q4_1.gguf");
}
