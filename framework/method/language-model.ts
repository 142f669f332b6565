/** The policy before any feedback: loaded or trained by its backend once, and kept in the store. */
import { join } from "node:path";
import type { AdapterState, LlmBackend } from "../contracts/llm.js";
import { readJson, writeJson } from "../store/files.js";
import { floatTensors, readTensors, writeTensors } from "../store/tensors.js";
import { inventedDialogues } from "./corpus.js";
import { prepareSampler } from "./sampler.js";
import type { Study } from "./study.js";

/** Invented readers that a model which the run trains itself may learn its language from. */
const readers = 10_000;

/** A text encoder that reads the model's hidden states can do so from then on; what samples in its place is shown to be the same model. */
export async function loadLanguageModel(study: Study, llm: LlmBackend): Promise<void> {
  await load(study, llm);
  await study.useLlm(llm);
  await prepareSampler(study);
}

/** The model alone, with an adapter: what a process needs that makes single steps of another one's run. */
export async function loadPolicy(study: Study, llm: LlmBackend, adapter: AdapterState | null): Promise<void> {
  await load(study, llm);
  const { alignment } = study.spec;
  if (adapter === null || alignment === undefined) return;
  llm.policy?.attach(alignment.lora, 0);
  llm.policy?.restore(adapter);
}

async function load(study: Study, llm: LlmBackend): Promise<void> {
  const { spec, data, parts, context } = study;
  const corpus = inventedDialogues(data, spec.prompt, readers, study.llmSeed, spec.protocol.relevantAbove ?? parts.dataset.relevantAbove);
  if (llm.state === undefined || llm.restoreState === undefined) return llm.prepare(corpus);
  const inputs = { llm: parts.identities.llm, corpus, engine: context.engine.name };
  const step = await context.store.step({ step: "language-model", version: 1, inputs }, async (folder) => {
    await llm.prepare(corpus);
    const state = await llm.state?.();
    await writeJson(join(folder, "description.json"), state?.description);
    await writeTensors(join(folder, "weights.safetensors"), state?.tensors ?? {});
  });
  if (!step.cached) return;
  llm.restoreState({
    description: await readJson(join(step.folder, "description.json")),
    tensors: floatTensors(await readTensors(join(step.folder, "weights.safetensors"))),
  });
}
