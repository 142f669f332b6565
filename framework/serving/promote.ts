/** From a run to a model: one arm's recommenders, its LLM and its texts, put into a folder that is served by itself, and tried there. */
import fs from "node:fs/promises";
import { join } from "node:path";
import type { PreparedData } from "../contracts/dataset.js";
import type { LlmBackend } from "../contracts/llm.js";
import { pluginKinds } from "../contracts/kinds.js";
import type { Assembly } from "../kernel/assemble.js";
import type { Registry } from "../kernel/registry.js";
import { silent } from "../method/arms.js";
import { encoderOf, recommenderOf } from "../method/fits.js";
import type { UserText } from "../method/structure.js";
import { loadLanguageModel } from "../method/language-model.js";
import { promptOf } from "../method/prompt.js";
import type { Knowledge } from "../method/recommender.js";
import type { Study } from "../method/study.js";
import { readRows } from "../method/read-rows.js";
import { packageRoot } from "../setup/paths.js";
import type { Spec } from "../spec/types.js";
import { makeFolder, readJson, writeJson, writeJsonLines } from "../store/files.js";
import { writtenAnew } from "../store/run-file.js";
import { writeTensors } from "../store/tensors.js";
import { answersOf } from "./kept-texts.js";
import { type Chosen, type Model, type ModelDescription, modelFiles, openModel, sealModel, windowKey } from "./model.js";
import { adapterOf, choose, type EndedRun, unpromotable, type Wish } from "./run.js";
import { withStudy, type Workshop } from "./study.js";
import { figuresOf } from "./figures.js";
import { roundOf } from "./rounds.js";
import { type Agreement, agreementWithRun, probesOf } from "./agreement.js";
import { ServedModel } from "./served-model.js";

export interface Promoted {
  readonly model: Model;
  /** With the run's own scores; null where the run has none of these recommenders (`refit`). */
  readonly agreement: Agreement | null;
}

/** @param folder an empty one, for the model @throws RLRF_PROMOTE_…, RLRF_MODEL_DIFFERS */
export async function promote(run: EndedRun, name: string, wish: Wish, folder: string, workshop: Workshop): Promise<Promoted> {
  const chosen = choose(run, wish);
  return withStudy(run, workshop, async (study, parts) => {
    const texts = await textsOf(study, run, chosen.arm);
    const brings = texts !== null && parts.llm !== undefined && bringsLlm(parts.llm, parts, chosen.arm) ? parts.llm : null;
    if (brings !== null) await loadLanguageModel(study, brings);
    const knowledge = await knowledgeOf(study, chosen.arm, texts);
    await writeRecommenders(study, chosen, knowledge, folder);
    await writeItems(study.data, knowledge, folder);
    await writeJson(join(folder, modelFiles.spec), servedSpec(run.spec));
    const hearsUsers = texts !== null && chosen.arm !== "item-only";
    if (hearsUsers) await writeKeptTexts(study, texts, knowledge, folder);
    if (brings !== null) await writeLlmState(brings, folder);
    const llm = await writeAdapter(study, run, chosen.arm, folder);
    const described = await describe(study, run, chosen, name, workshop.registry);
    await sealModel(folder, { ...described, textWidth: knowledge?.users.width ?? null, hearsUsers, llm });
    return tried(study, run, folder, texts, workshop);
  });
}

/** Loads the model as a server would, compares it with the run, and leaves in it what later servers compare themselves with. */
async function tried(
  study: Study,
  run: EndedRun,
  folder: string,
  texts: readonly UserText[] | null,
  { registry, services }: Workshop,
): Promise<Promoted> {
  const sealed = await openModel(folder);
  const served = await ServedModel.load(sealed, registry, services);
  try {
    const agreement = await agreementWithRun(study, run, served, texts);
    await writeJson(join(folder, modelFiles.probes), await probesOf(served));
    const { files: _, ...description } = sealed.description;
    await sealModel(folder, description);
    return { model: await openModel(folder), agreement };
  } finally {
    await served.dispose();
  }
}

/** The texts that an arm hears, a text a user; null where it hears none. @throws RLRF_PROMOTE_RUN */
async function textsOf(study: Study, run: EndedRun, arm: string): Promise<readonly UserText[] | null> {
  if (arm === "id-only") return null;
  if (arm === "item-only") return study.data.users.map((_, user) => study.userText(user, ""));
  const path = join(run.folder, "texts", `${arm}.jsonl`);
  const wrong = (where: string, message: string) => unpromotable(where, message, writtenAnew);
  const byUser = new Map<string, string>();
  for await (const { row } of readRows<{ user: string; text: string }>(path, "texts", wrong)) byUser.set(row.user, row.text);
  return study.data.users.map(({ id }, user) => {
    const text = byUser.get(id);
    if (text === undefined) throw wrong(path, `there is no text of user ${JSON.stringify(id)}`);
    return study.userText(user, text);
  });
}

/** Whether the LLM itself is needed: one that the run trained goes into the model, one that encodes texts is asked for their vectors. */
function bringsLlm(llm: LlmBackend, { textEncoder }: Assembly, arm: string): boolean {
  return textEncoder.useLlm !== undefined || (llm.state !== undefined && arm.startsWith("llm-"));
}

async function knowledgeOf(study: Study, arm: string, texts: readonly UserText[] | null): Promise<Knowledge | null> {
  if (texts === null) return null;
  const knowledge = await study.knowledge(texts);
  return arm === "item-only" ? silent(knowledge) : knowledge;
}

/** Found in the store where they are, fitted again where not. */
async function writeRecommenders(study: Study, { seeds, users }: Chosen, knowledge: Knowledge | null, folder: string): Promise<void> {
  const [round, fold] = roundOf(study.data, users);
  await makeFolder(join(folder, "recommenders"));
  for (const seed of seeds) {
    const name = { part: "evaluate", fold, seed } as const;
    const encoder = await encoderOf(study, round, name);
    const recommender = await recommenderOf(study, round, name, knowledge, encoder);
    await writeTensors(join(folder, modelFiles.encoder(seed)), await encoder.state());
    await writeTensors(join(folder, modelFiles.recommender(seed)), await recommender.state());
    recommender.dispose();
    encoder.dispose();
  }
}

async function writeItems({ items }: PreparedData, knowledge: Knowledge | null, folder: string): Promise<void> {
  await writeJsonLines(join(folder, modelFiles.items), items.slice(1));
  if (knowledge === null) return;
  const { users, items: values } = knowledge;
  await writeTensors(join(folder, modelFiles.itemVectors), { items: { shape: [items.length, users.width], values } });
}

/** Where it was tracked is nobody's business who serves it. */
function servedSpec(spec: Spec): Spec {
  return { ...spec, tracking: { ...spec.tracking, uri: null } };
}

/** By the content of the windows, and not by user: who wrote them cannot be told. */
async function writeKeptTexts(study: Study, texts: readonly UserText[], knowledge: Knowledge | null, folder: string): Promise<void> {
  const { data, spec } = study;
  const byWindow = new Map(texts.map(({ user, text }) => [windowKey(promptOf(user, data, spec.prompt)), text] as const));
  const rows = [...byWindow].map(([window, text]) => ({ window, text })).sort((a, b) => (a.window < b.window ? -1 : 1));
  await writeJsonLines(join(folder, modelFiles.texts), rows);
  const answers = answersOf(rows.map(({ text }) => text), spec); // biome-ignore format: one line
  const width = knowledge?.users.width ?? 0;
  const values = await study.vectorsOf(answers);
  await writeTensors(join(folder, modelFiles.textVectors), { answers: { shape: [answers.length, width], values } });
}

/** Weights that are the run's own: others are fetched again from where the spec says. */
async function writeLlmState(llm: LlmBackend, folder: string): Promise<void> {
  const state = await llm.state?.();
  if (state === undefined) return;
  await writeJson(join(folder, modelFiles.llmDescription), state.description);
  await writeTensors(join(folder, modelFiles.llmWeights), state.tensors);
}

async function writeAdapter(study: Study, run: EndedRun, arm: string, folder: string): Promise<ModelDescription["llm"]> {
  if (study.parts.llm === undefined || !arm.startsWith("llm-")) return null;
  const adapter = await adapterOf(run, arm);
  if (adapter !== null) await fs.cp(join(run.folder, "adapters", adapter), join(folder, modelFiles.adapter), { recursive: true });
  return { adapter: adapter === null ? null : modelFiles.adapter, generation: { ...study.generation, temperature: 0 } };
}

async function describe(study: Study, run: EndedRun, chosen: Chosen, name: string, registry: Registry) {
  const { spec, parts, data, context } = study;
  const { version } = await readJson<{ version: string }>(join(packageRoot, "package.json"));
  return {
    form: 1,
    name,
    run: run.name,
    specHash: run.specHash,
    listsDigest: run.listsDigest,
    ...chosen,
    framework: version,
    engine: context.engine.name,
    plugins: pluginsOf(spec, registry),
    listLength: data.lists.length,
    ratingScale: data.ratingScale,
    relevantAbove: spec.protocol.relevantAbove ?? parts.dataset.relevantAbove,
    figures: await figuresOf(study, run, chosen),
  } as const;
}

/** Everything that a model is served with. */
function pluginsOf(spec: Spec, registry: Registry): ModelDescription["plugins"] {
  const served = (["encoder", "adaptor", "reranker", "text-encoder", "llm"] as const).flatMap((kind) => {
    const { section } = pluginKinds[kind];
    const reference = spec[section];
    if (reference === undefined) return [];
    const { name, version, sha256 } = registry.find(kind, reference.plugin);
    return [[section, { plugin: name, version, sha256 }] as const];
  });
  return Object.fromEntries(served);
}
