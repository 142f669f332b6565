/** The LLM of a model: its weights from the model where the run trained them, from where the spec says otherwise; then its adapter. */
import { join } from "node:path";
import type { LlmBackend } from "../contracts/llm.js";
import { RlrfError } from "../errors.js";
import { isObject } from "../spec/origins.js";
import { parseJson } from "../spec/json.js";
import { floatTensors, readTensors } from "../store/tensors.js";
import { broken, type Model, modelFiles, readBounded } from "./model.js";

const descriptionLimit = 64 << 20;

/** @param adapter folder in the model; null = the untuned LLM @throws RLRF_MODEL_BROKEN, and what the backend throws */
export async function loadLlm(model: Model, llm: LlmBackend, adapter: string | null): Promise<void> {
  const [description, weights] = [model.file(modelFiles.llmDescription), model.file(modelFiles.llmWeights)];
  if (description === null || weights === null) await llm.prepare({ dialogues: [] });
  else if (llm.restoreState === undefined) throw broken(model.folder, "it brings weights for an LLM that takes none");
  else {
    const { value } = parseJson(await readBounded(description, descriptionLimit), description);
    if (!isObject(value)) throw broken(description, "it is no JSON object");
    try {
      llm.restoreState({ description: value, tensors: floatTensors(await readTensors(weights)) });
    } catch (cause) {
      throw cause instanceof RlrfError
        ? cause
        : broken(weights, `it does not fit the model's spec: ${(cause as Error).message}`, undefined, cause);
    }
  }
  if (adapter === null) return;
  const folder = join(model.folder, adapter);
  if (llm.policy !== undefined) await llm.policy.importAdapter(folder);
  else await llm.useAdapter?.({ folder, identity: model.digest });
}
