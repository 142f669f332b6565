/**
 * Units of work of a run: each makes one step of the store, in whatever process. What a unit is given besides the spec lies in the store
 * too, once, however many units are given it.
 */
import { join } from "node:path";
import type { UnitResources } from "../contracts/executor.js";
import type { GenerationParameters, GenerationRequest } from "../contracts/llm.js";
import { readJsonLines, writeJsonLines } from "../store/files.js";
import { RlrfError } from "../errors.js";
import type { StepIdentity, Store } from "../store/store.js";
import { readTensors, type StoredTensor, type TensorValues, valuesOf, writeTensors } from "../store/tensors.js";
import type { AnswerVectors } from "./answer-vectors.js";
import type { ArmKnowledge } from "./arms.js";
import { encoderStep, type FitName, recommenderStep, roundOf, scoresStep } from "./fits.js";
import type { Knowledge } from "./recommender.js";
import type { Heard } from "./reward-batch.js";
import type { UserText } from "./structure.js";
import type { Study } from "./study.js";

/** What a unit does: plain JSON, with keys of the store where more is given. */
export type UnitWork =
  | { readonly what: "encoder"; readonly name: FitName }
  | { readonly what: "recommender"; readonly name: FitName; readonly knowledge: KeptKnowledge }
  | {
      readonly what: "scores";
      readonly name: FitName;
      readonly arm: string;
      readonly knowledge: KeptKnowledge | null;
      readonly heardAtTest: KeptTexts | null;
    }
  | {
      readonly what: "rewards";
      readonly name: FitName;
      readonly knowledge: KeptKnowledge;
      readonly heard: string;
      readonly texts: string;
      readonly vectors: KeptTexts;
    }
  | {
      readonly what: "texts";
      readonly adapter: string | null;
      readonly identity: string;
      readonly parameters: GenerationParameters;
      readonly requests: string;
    }
  | { readonly what: "tuning"; readonly adapter: string | null; readonly identity: string; readonly lesson: string };

export interface StepUnit {
  /** The step that is there when the unit is done. */
  readonly makes: StepIdentity;
  readonly work: UnitWork;
  /** For people: "recommender of evaluate 0, seed 1". */
  readonly label: string;
  readonly resources: UnitResources;
}

interface KeptTexts {
  readonly aspects: number;
  readonly width: number;
  readonly tensors: string;
}

interface KeptKnowledge {
  readonly users: KeptTexts;
  readonly items: string;
}

/** None where the encoder has nothing to learn: whoever needs it makes it as quickly. */
export function encoderUnits(study: Study, fits: readonly FitName[]): readonly StepUnit[] {
  if (study.parts.encoder.fit === undefined) return [];
  return fits.map((name) => ({
    makes: encoderStep(study, roundOf(study, name), name),
    work: { what: "encoder", name },
    label: `encoder ${shown(name)}`,
    resources: fitResources(study),
  }));
}

export async function recommenderUnits(study: Study, fits: readonly FitName[], knowledge: Knowledge): Promise<readonly StepUnit[]> {
  const kept = await keepKnowledge(study.context.store, knowledge);
  return fits.map((name) => ({
    makes: recommenderStep(study, roundOf(study, name), name, knowledge),
    work: { what: "recommender", name, knowledge: kept },
    label: `recommender ${shown(name)}`,
    resources: fitResources(study),
  }));
}

export async function scoresUnits(study: Study, fits: readonly FitName[], arms: readonly ArmKnowledge[]): Promise<readonly StepUnit[]> {
  const { store } = study.context;
  const units: StepUnit[] = [];
  for (const arm of arms) {
    const knowledge = arm.knowledge && (await keepKnowledge(store, arm.knowledge));
    const heardAtTest = arm.heardAtTest === undefined ? null : await keepTexts(store, arm.heardAtTest);
    for (const name of fits)
      units.push({
        makes: scoresStep(study, roundOf(study, name), name, arm),
        work: { what: "scores", name, arm: arm.name, knowledge, heardAtTest },
        label: `scores of ${arm.name} ${shown(name)}`,
        resources: fitResources(study),
      });
  }
  return units;
}

export async function rewardUnits(
  study: Study,
  models: readonly { readonly name: FitName; readonly makes: StepIdentity }[],
  { heard, texts, vectors }: { readonly heard: Heard; readonly texts: readonly UserText[]; readonly vectors: AnswerVectors },
): Promise<readonly StepUnit[]> {
  const { store } = study.context;
  const given = {
    knowledge: await keepKnowledge(store, heard.knowledge),
    heard: await keepRows(store, heard.texts.map(bare)),
    texts: await keepRows(store, texts.map(bare)),
    vectors: await keepTexts(store, vectors),
  };
  return models.map(({ name, makes }) => ({
    makes,
    work: { what: "rewards", name, ...given },
    label: `rewards ${shown(name)}`,
    resources: fitResources(study),
  }));
}

/** Requests to one policy, in shards. @param stepOf names what a shard makes */
export async function textUnits(
  study: Study,
  shards: readonly (readonly GenerationRequest[])[],
  parameters: GenerationParameters,
  stepOf: (shard: readonly GenerationRequest[]) => StepIdentity,
): Promise<readonly StepUnit[]> {
  const { store } = study.context;
  const policy = await keepPolicy(study);
  const units: StepUnit[] = [];
  for (const [i, shard] of shards.entries())
    units.push({
      makes: stepOf(shard),
      work: { what: "texts", ...policy, parameters, requests: await keepRows(store, shard) },
      label: `texts of ${shard.length} users, ${i + 1}/${shards.length}`,
      resources: languageModelResources(study),
    });
  return units;
}

/** @param lesson what is learnt, as JSON */
export async function tuningUnit(study: Study, name: string, lesson: object, makes: StepIdentity): Promise<StepUnit> {
  const kept = await keepRows(study.context.store, [lesson]);
  const work: UnitWork = { what: "tuning", ...(await keepPolicy(study)), lesson: kept };
  return { makes, work, label: `tuning ${name}`, resources: languageModelResources(study) };
}

/** The LLM, with which adapter. What samples in its place is never asked in units. */
async function keepPolicy(study: Study): Promise<{ readonly identity: string; readonly adapter: string | null }> {
  const state = (await study.parts.llm?.policy?.adapter()) ?? {};
  const adapter = Object.keys(state).length === 0 ? null : await keepTensors(study.context.store, state);
  return { identity: study.identityOf("llm"), adapter };
}

function bare({ user, text }: UserText): Pick<UserText, "user" | "text"> {
  return { user, text };
}

function shown({ part, fold, seed }: FitName): string {
  return `of ${part} ${fold}, seed ${seed}`;
}

/** This process has prepared the same data and holds the same vectors: what it takes is the estimate. A unit computes with as many threads. */
function fitResources({ context: { engine } }: Study): UnitResources {
  return { cpus: engine.threads, gpus: 0, memoryBytes: process.memoryUsage().rss };
}

/** This process has loaded the same model. */
function languageModelResources(study: Study): UnitResources {
  return { ...fitResources(study), languageModel: true };
}

const tensorFile = "tensors.safetensors";
const rowsFile = "rows.jsonl";

async function keepTensors(store: Store, tensors: Readonly<Record<string, StoredTensor>>): Promise<string> {
  const step = await store.step({ step: "given-tensors", version: 1, inputs: tensors }, (folder) =>
    writeTensors(join(folder, tensorFile), tensors),
  );
  return step.key;
}

async function keepRows(store: Store, rows: readonly object[]): Promise<string> {
  const step = await store.step({ step: "given-rows", version: 1, inputs: rows }, (folder) => writeJsonLines(join(folder, rowsFile), rows));
  return step.key;
}

async function keepKnowledge(store: Store, { users, items }: Knowledge): Promise<KeptKnowledge> {
  return { users: await keepTexts(store, users), items: await keepTensors(store, { items: flat(items) }) };
}

async function keepTexts(store: Store, { aspects, width, rows, table }: AnswerVectors): Promise<KeptTexts> {
  return { aspects, width, tensors: await keepTensors(store, { rows: flat(rows), table: flat(table) }) };
}

function flat<Values extends TensorValues>(values: Values): StoredTensor<Values> {
  return { shape: [values.length], values };
}

/** @throws RLRF_UNIT_GIVEN where it is not in the store (any more) */
export async function givenTensors(store: Store, key: string): Promise<Record<string, StoredTensor>> {
  return readTensors(join(await given(store, "given-tensors", key), tensorFile));
}

/** @throws as givenTensors */
export async function givenTexts(store: Store, { aspects, width, tensors: key }: KeptTexts): Promise<AnswerVectors> {
  const tensors = await givenTensors(store, key);
  return { aspects, width, rows: valuesOf(tensors, "rows", Int32Array), table: valuesOf(tensors, "table", Float32Array) };
}

export async function givenRows<Row>(store: Store, key: string): Promise<readonly Row[]> {
  return readJsonLines<Row>(join(await given(store, "given-rows", key), rowsFile));
}

export async function givenKnowledge(store: Store, { users, items }: KeptKnowledge): Promise<Knowledge> {
  const vectors = valuesOf(await givenTensors(store, items), "items", Float32Array);
  return { users: await givenTexts(store, users), items: vectors };
}

export async function given(store: Store, step: string, key: string): Promise<string> {
  const folder = await store.find(step, key);
  if (folder !== null) return folder;
  throw new RlrfError("RLRF_UNIT_GIVEN", {
    message: "what a unit of work is given is not in the store, or was damaged there",
    where: join(store.root, "steps", step, key),
    expected: "the store that the run was started with, as this machine sees it",
    hint: "give every machine the same folder as --cache or store.path, and start the run again",
  });
}
