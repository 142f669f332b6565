/** `rlrf step`: a process that makes one step of another one's run, and keeps it in the store. */
import fs from "node:fs/promises";
import { join } from "node:path";
import type { LlmBackend } from "../contracts/llm.js";
import type { GenerationRequest } from "../contracts/llm.js";
import { RlrfError } from "../errors.js";
import type { Assembly } from "../kernel/assemble.js";
import type { Spec } from "../spec/types.js";
import { readJson } from "../store/files.js";
import { insideOf } from "../store/run-folder.js";
import type { Store } from "../store/store.js";
import { floatTensors } from "../store/tensors.js";
import { silentTracker } from "../track/tracker.js";
import { type Lesson, tunedOnce } from "./align.js";
import { taskFile, taskStep, type UnitTask } from "./distribute.js";
import { armScores, encoderOf, recommenderOf, roundOf } from "./fits.js";
import { textsOfShard } from "./infer.js";
import type { UserText } from "./structure.js";
import { loadPolicy } from "./language-model.js";
import { RewardModels } from "./reward.js";
import { type RunContext, Study } from "./study.js";
import { given, givenKnowledge, givenRows, givenTensors, givenTexts } from "./units.js";

/** @throws RLRF_UNIT_GIVEN */
export async function readTask(store: Store, key: string): Promise<UnitTask> {
  return readJson<UnitTask>(join(await given(store, taskStep, key), taskFile));
}

/** @throws RLRF_UNIT_DIFFERS when this machine would make something else than was asked for */
export async function doUnit(
  { data, engine, makes, work }: UnitTask,
  spec: Spec,
  parts: Assembly,
  context: Omit<RunContext, "folder" | "tracker">,
): Promise<void> {
  const { store } = context;
  const folder = join(store.root, "work", makes.key);
  const path = (...inner: readonly string[]) => insideOf(folder, join(...inner));
  if (context.engine.name !== engine) throw differs(`its engine is ${context.engine.name}, the driver's ${engine}`);
  const study = await Study.withData(spec, parts, { ...context, folder: { id: makes.key, path }, tracker: silentTracker });
  try {
    if (study.dataKey !== data) throw differs("the data that it prepares are not the driver's");
    await make(study, work);
    if ((await store.find(makes.step, makes.key)) === null)
      throw differs("its plugins are not the driver's: it made a step of another key");
  } finally {
    await study.close();
  }
  await fs.rm(folder, { recursive: true, force: true });
}

async function make(study: Study, work: UnitTask["work"]): Promise<void> {
  const { store } = study.context;
  switch (work.what) {
    case "encoder":
      return (await encoderOf(study, roundOf(study, work.name), work.name)).dispose();
    case "recommender": {
      const round = roundOf(study, work.name);
      const encoder = await encoderOf(study, round, work.name);
      const recommender = await recommenderOf(study, round, work.name, await givenKnowledge(store, work.knowledge), encoder);
      recommender.dispose();
      return encoder.dispose();
    }
    case "scores":
      return makeScores(study, work);
    case "rewards":
      return makeRewards(study, work);
    case "texts": {
      await loadAsked(study, work);
      await textsOfShard(study, await givenRows<GenerationRequest>(store, work.requests), work.parameters);
      return;
    }
    case "tuning": {
      await loadAsked(study, work);
      const [lesson] = await givenRows<Lesson>(store, work.lesson);
      const { tuning } = study;
      if (tuning !== null && lesson !== undefined) await tunedOnce(study, tuning, lesson);
    }
  }
}

type Work<What> = Extract<UnitTask["work"], { readonly what: What }>;

async function makeScores(study: Study, { name, arm, knowledge, heardAtTest }: Work<"scores">): Promise<void> {
  const { store } = study.context;
  const heard = heardAtTest === null ? undefined : await givenTexts(store, heardAtTest);
  const told = { name: arm, knowledge: knowledge && (await givenKnowledge(store, knowledge)), ...(heard && { heardAtTest: heard }) };
  const round = roundOf(study, name);
  const encoder = await encoderOf(study, round, name);
  await armScores(study, told, round, name, async () => encoder).finally(() => encoder.dispose());
}

async function makeRewards(study: Study, work: Work<"rewards">): Promise<void> {
  const { store } = study.context;
  const { reward } = study.parts;
  if (reward === undefined) throw new RlrfError("RLRF_INTERNAL", { message: "rewards were asked for without a reward", where: "/reward" });
  const textsIn = async (key: string) =>
    (await givenRows<Pick<UserText, "user" | "text">>(store, key)).map(({ user, text }) => study.userText(user, text));
  const heard = { knowledge: await givenKnowledge(store, work.knowledge), texts: await textsIn(work.heard) };
  const vectors = await givenTexts(store, work.vectors);
  const models = await RewardModels.of(study, reward, [work.name], heard);
  await models.keep(await textsIn(work.texts), vectors).finally(() => models.dispose());
}

async function loadAsked(study: Study, { adapter, identity }: Work<"texts" | "tuning">): Promise<void> {
  const { llm } = study.parts as { readonly llm: LlmBackend }; // a unit with a policy is made of a spec with one
  await loadPolicy(study, llm, adapter === null ? null : floatTensors(await givenTensors(study.context.store, adapter)));
  if (study.identityOf("llm") !== identity) throw differs("the language model that it loads is not the driver's");
}

function differs(how: string): RlrfError {
  return new RlrfError("RLRF_UNIT_DIFFERS", {
    message: `this machine would make something else than the driver asks for: ${how}`,
    where: process.cwd(),
    expected: "the same installation, plugins, data files and engine on every machine",
    hint: "install the same version everywhere, and force the engine (engine in the spec) where machines differ",
  });
}
