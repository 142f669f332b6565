/** Steps 1 and 5: the LLM answers prompts made of the knowledge windows alone; every answer is kept by prompt and never computed twice. */
import { join } from "node:path";
import type { GeneratedText, GenerationParameters, GenerationRequest } from "../contracts/llm.js";
import { createRng } from "../rng.js";
import { readJsonLines, writeJsonLines } from "../store/files.js";
import { hashOf } from "../store/hash.js";
import type { StepIdentity } from "../store/store.js";
import { chunks } from "./batches.js";
import { distribute, isDistributed } from "./distribute.js";
import { metadataText } from "./metadata.js";
import { promptOf } from "./prompt.js";
import type { UserText } from "./structure.js";
import type { Study } from "./study.js";
import { textUnits } from "./units.js";

/** A sampled text of a user. */
export interface UserSample extends UserText {
  readonly tokens: number;
  readonly finished: boolean;
}

/** The texts of every user of a study, in order of their numbers: what one arm of the result hears. */
export interface PolicyTexts {
  readonly name: string;
  readonly texts: readonly UserText[];
}

/** Step 1: one text a user, greedily. */
export async function infer(study: Study, name: string): Promise<readonly UserSample[]> {
  const users = Int32Array.from(study.data.users, (_, user) => user);
  const samples = await sampleTexts(study, users, { ...study.generation, temperature: 0 }, 1, name);
  return samples.flat();
}

/** Step 5: N texts a user. @param label names the seeds: the same label draws the same random numbers from another policy */
export async function sampleTexts(
  study: Study,
  users: Int32Array,
  parameters: GenerationParameters,
  samples: number,
  label: string,
): Promise<readonly (readonly UserSample[])[]> {
  const requests = Array.from(users, (user): GenerationRequest => {
    const record = study.data.users[user];
    const greedy = parameters.temperature === 0;
    const seed = greedy ? 0 : createRng(study.llmSeed, label, record?.id ?? "").seed();
    return { user: record?.id ?? "", messages: promptOf(user, study.data, study.spec.prompt), samples, seed };
  });
  const answers = await answered(study, requests, parameters);
  return answers.map((texts, i) =>
    texts.map(({ text, tokens, finish }) => ({ ...study.userText(users[i] as number, text), tokens, finished: finish === "stop" })),
  );
}

async function answered(
  study: Study,
  requests: readonly GenerationRequest[],
  parameters: GenerationParameters,
): Promise<readonly (readonly GeneratedText[])[]> {
  const { context } = study;
  const generations = await study.generations();
  const identity = study.writerIdentity;
  const keys = requests.map((request) => hashOf({ identity, parameters, request }));
  const missing = () => keys.flatMap((key, i) => (generations.get(key) === undefined ? [i] : []));
  // Another run may be asking the same of the same policy.
  if (missing().length > 0)
    await context.store.exclusively("texts", hashOf(keys), async () => {
      await generations.refresh();
      await generate(study, missing(), { requests, keys, parameters });
    });
  return keys.map((key) => generations.get(key) as GeneratedText[]);
}

async function generate(
  study: Study,
  missing: readonly number[],
  {
    requests,
    keys,
    parameters,
  }: { readonly requests: readonly GenerationRequest[]; readonly keys: readonly string[]; readonly parameters: GenerationParameters },
): Promise<void> {
  if (missing.length === 0) return;
  const { context, writer } = study;
  const generations = await study.generations();
  const wanted = missing.map((i) => requests[i] as GenerationRequest);
  if (isDistributed(study) && writesHere(study)) {
    const texts = await generateInShards(study, wanted, parameters);
    for (const [j, i] of missing.entries()) generations.put(keys[i] as string, texts[j] as readonly GeneratedText[]);
    return;
  }
  const progress = context.progress.start("texts", missing.length, "prompts");
  const keep = (j: number, texts: readonly GeneratedText[]) => {
    generations.put(keys[missing[j] as number] as string, texts); // at once: a kill loses only what was being written
    progress.advance();
  };
  try {
    await writer.generate(wanted, parameters, keep, context.signal);
  } finally {
    progress.end();
  }
}

/** Where a server writes the texts, more processes that ask it would not make it faster. */
function writesHere({ parts, writer }: Study): boolean {
  return parts.sampler === undefined && writer.policy !== undefined;
}

/** Users of a shard, at least: a model is loaded for each. */
const smallestShard = 16;
/** Shards for each unit that runs at once: the last one is not waited for long. */
const shardsEach = 2;

async function generateInShards(
  study: Study,
  requests: readonly GenerationRequest[],
  parameters: GenerationParameters,
): Promise<readonly (readonly GeneratedText[])[]> {
  const size = Math.max(smallestShard, Math.ceil(requests.length / (shardsEach * study.parts.executor.parallel)));
  const shards = chunks(Int32Array.from(requests.keys()), size).map((rows) => Array.from(rows, (i) => requests[i] as GenerationRequest));
  await distribute(study, () => textUnits(study, shards, parameters, (shard) => shardStep(study, shard, parameters)));
  const texts: (readonly (readonly GeneratedText[])[])[] = [];
  for (const shard of shards) texts.push(await textsOfShard(study, shard, parameters));
  return texts.flat();
}

/** The texts of some users in a step of its own: what a unit of work makes. */
export async function textsOfShard(
  study: Study,
  requests: readonly GenerationRequest[],
  parameters: GenerationParameters,
): Promise<readonly (readonly GeneratedText[])[]> {
  const { writer, context } = study;
  const step = await context.store.step(shardStep(study, requests, parameters), async (folder) => {
    await writeJsonLines(join(folder, "texts.jsonl"), await writer.generate(requests, parameters, undefined, context.signal));
  });
  return readJsonLines(join(step.folder, "texts.jsonl"));
}

function shardStep(
  { writerIdentity: identity }: Study,
  requests: readonly GenerationRequest[],
  parameters: GenerationParameters,
): StepIdentity {
  return { step: "texts", version: 1, inputs: { identity, parameters, requests } };
}

/** What a fixed template says of every user: the texts of the `metadata` arm, written by no LLM. */
export function templateTexts(study: Study): PolicyTexts {
  const { data, spec } = study;
  return { name: "metadata", texts: data.users.map((_, user) => study.userText(user, metadataText(user, data, spec.prompt))) };
}
