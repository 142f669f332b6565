/** Step 3 with a memory: recommenders are fitted once for each (users, seed, texts), kept in the store and restored from there. */
import { join } from "node:path";
import type { Round } from "../contracts/dataset.js";
import { writeJson } from "../store/files.js";
import type { StepIdentity } from "../store/store.js";
import { floatTensors, readTensors, valuesOf, writeTensors } from "../store/tensors.js";
import type { AnswerVectors } from "./answer-vectors.js";
import type { ArmKnowledge } from "./arms.js";
import type { ScoredLists } from "./figures.js";
import { DivergedError } from "./fit.js";
import {
  type FittedEncoder,
  fitEncoder,
  fitRecommender,
  type Knowledge,
  listsOf,
  type Recommender,
  restoreEncoder,
  restoreRecommender,
} from "./recommender.js";
import type { Study } from "./study.js";

/** Which users, which round among theirs, and the recommender's seed: names a fit in the store. */
export interface FitName {
  readonly part: "evaluate" | "reward";
  readonly fold: number;
  readonly seed: number;
}

/** Every fit of a part of the users, in the order of the result. */
export function fitNames({ data, spec }: Study, part: FitName["part"]): readonly FitName[] {
  return [...data.parts[part].keys()].flatMap((fold) => spec.seeds.map((seed) => ({ part, fold, seed })));
}

/** The sequence encoder of a round and seed, shared by all arms. */
export async function encoderOf(study: Study, round: Round, name: FitName): Promise<FittedEncoder> {
  const { data, parts, spec, context } = study;
  const request = { data, encoder: parts.encoder, history: spec.protocol.history };
  const step = await context.store.step(encoderStep(study, round, name), async (folder) => {
    const { stride } = spec.protocol;
    const fitting = fitEncoder({ ...request, round, stride, seed: name.seed, progress: context.progress, signal: context.signal });
    const fitted = await keepingLastGood(study, ["encoder", name], fitting);
    await writeTensors(join(folder, "state.safetensors"), await fitted.state());
    await writeJson(join(folder, "report.json"), fitted.report ?? {});
    fitted.dispose();
  });
  return restoreEncoder(request, floatTensors(await readTensors(join(step.folder, "state.safetensors"))));
}

/** A recommender that has learnt with this knowledge. @param encoder of the same round and seed */
export async function recommenderOf(
  study: Study,
  round: Round,
  name: FitName,
  knowledge: Knowledge | null,
  encoder: FittedEncoder,
): Promise<Recommender> {
  const { data, parts, spec, context } = study;
  const request = { data, encoder, adaptor: parts.adaptor, reranker: parts.reranker, knowledge };
  const step = await context.store.step(recommenderStep(study, round, name, knowledge), async (folder) => {
    const fitting = fitRecommender({
      ...request,
      round,
      seed: name.seed,
      metric: mainMetric(study),
      ties: spec.protocol.ties,
      progress: context.progress,
      signal: context.signal,
    });
    const fitted = await keepingLastGood(study, ["recommender", name], fitting);
    await writeTensors(join(folder, "state.safetensors"), await fitted.state());
    await writeJson(join(folder, "report.json"), fitted.report ?? {});
    fitted.dispose();
  });
  return restoreRecommender(request, floatTensors(await readTensors(join(step.folder, "state.safetensors"))));
}

/** A fit that diverges ends the run; what it had learnt until then is left in the run folder, for whoever looks into it. */
async function keepingLastGood<Fitted>(
  study: Study,
  [what, { part, fold, seed }]: [string, FitName],
  fitting: Promise<Fitted>,
): Promise<Fitted> {
  return fitting.catch(async (error: unknown) => {
    if (error instanceof DivergedError)
      await writeTensors(study.context.folder.path("diverged", `${what}-${part}-${fold}-${seed}.safetensors`), error.lastGood);
    throw error;
  });
}

/** A model, and users that it has not learnt from. */
export interface Listener {
  readonly recommender: Recommender;
  readonly users: Int32Array;
  readonly seed: number;
}

/** The model's scores of every list of its users. @param heard each user's text; null = none */
export async function rankLists(study: Study, { recommender, users, seed }: Listener, heard: AnswerVectors | null): Promise<ScoredLists> {
  const lists = listsOf(study.data, users);
  const own = lists.map((list) => study.data.lists.user[list] as number);
  return { seed, lists, scores: await recommender.score(lists, heard, heard && own, { signal: study.context.signal }) };
}

/** Of one arm in one round with one seed: test users are reported, valid users may choose between runs. */
export interface ArmScores {
  readonly test: ScoredLists;
  readonly valid: ScoredLists;
}

/** The scores that an arm gives to every list of the round's test and valid users. @param encoder asked for only when it is needed */
export async function armScores(
  study: Study,
  arm: ArmKnowledge,
  round: Round,
  name: FitName,
  encoder: () => Promise<FittedEncoder>,
): Promise<ArmScores> {
  const step = await study.context.store.step(scoresStep(study, round, name, arm), async (folder) => {
    const recommender = await recommenderOf(study, round, name, arm.knowledge, await encoder());
    const scored = async (users: Int32Array) => {
      const { scores } = await rankLists(study, { recommender, users, seed: name.seed }, heardAtTest(arm));
      return { shape: [scores.length], values: scores };
    };
    try {
      const tensors = { test: await scored(round.test), valid: await scored(round.valid) };
      await writeTensors(join(folder, "scores.safetensors"), tensors);
    } finally {
      recommender.dispose();
    }
  });
  const tensors = await readTensors(join(step.folder, "scores.safetensors"));
  const scoresOf = (part: "test" | "valid"): ScoredLists => ({
    seed: name.seed,
    lists: listsOf(study.data, round[part]),
    scores: valuesOf(tensors, part, Float32Array),
  });
  return { test: scoresOf("test"), valid: scoresOf("valid") };
}

/** What valid users stop a fit by. */
export function mainMetric(study: Study): string {
  return study.spec.protocol.metrics[0] as string;
}

/** The round that a fit's name speaks of. */
export function roundOf({ data }: Study, { part, fold }: FitName): Round {
  return data.parts[part][fold] as Round; // whoever names a fit goes through the rounds
}

function heardAtTest({ heardAtTest: other, knowledge }: ArmKnowledge): AnswerVectors | null {
  return other ?? knowledge?.users ?? null;
}

export function encoderStep(study: Study, round: Round, name: FitName): StepIdentity {
  return { step: "encoder", version: 1, inputs: encoderInputs(study, round, name) };
}

export function recommenderStep(study: Study, round: Round, name: FitName, knowledge: Knowledge | null): StepIdentity {
  return { step: "recommender", version: 1, inputs: recommenderInputs(study, round, name, knowledge) };
}

export function scoresStep(study: Study, round: Round, name: FitName, arm: ArmKnowledge): StepIdentity {
  const recommender = recommenderInputs(study, round, name, arm.knowledge);
  const users = { test: round.test, valid: round.valid };
  return { step: "scores", version: 2, inputs: { recommender, heard: heardAtTest(arm), users } };
}

function encoderInputs(study: Study, { train, valid }: Round, name: FitName) {
  const { parts, dataKey, context, spec } = study;
  return {
    data: dataKey,
    learntFrom: { train, valid },
    seed: name.seed,
    history: spec.protocol.history,
    stride: spec.protocol.stride,
    encoder: parts.identities.encoder,
    engine: context.engine.name,
  };
}

function recommenderInputs(study: Study, round: Round, name: FitName, knowledge: Knowledge | null) {
  const { adaptor, reranker } = study.parts.identities;
  const stoppedBy = { metric: mainMetric(study), ties: study.spec.protocol.ties };
  return { encoder: encoderInputs(study, round, name), adaptor: knowledge && adaptor, reranker, stoppedBy, knowledge };
}
