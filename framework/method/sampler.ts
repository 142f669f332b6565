/**
 * What samples in the place of the LLM that is tuned: shown to be the same model before anything is written, and again with each adapter, since
 * a text of another model would be rewarded, paired and tuned on in vain.
 */
import { join } from "node:path";
import type { AdapterFiles, ChatMessage, LlmBackend, ModelFiles, Probe } from "../contracts/llm.js";
import { RlrfError } from "../errors.js";
import { openCheckpoint } from "../language-model/checkpoint/open.js";
import { writeModelGguf } from "../language-model/model-gguf.js";
import { mean } from "../metrics/aggregate.js";
import { metadataText } from "./metadata.js";
import { promptOf } from "./prompt.js";
import type { Study } from "./study.js";

/** Users whose prompts are probed, each with the template's text. */
const probedUsers = 3;

/** Tokenizers differ first in what is rare. */
const odd = {
  messages: [{ role: "user", content: "Naïve cafés, 東京物語, Броненосец «Потёмкин» 🎬 1,234.5\n\tand    spaces?" }],
  completion: "Genre: Film-Noir 🎬, comédie",
} as const satisfies ProbedChat;

interface ProbedChat {
  readonly messages: readonly ChatMessage[];
  readonly completion: string;
}

/** How near two backends are. */
export interface Likeness {
  /** Tokens that both see alike; null where one of them does not tell. */
  readonly tokens: number | null;
  /** Mean difference of the log-probabilities of the completions' tokens, nats; null where one of them does not tell. */
  readonly difference: number | null;
}

/** @throws RLRF_LLM_SAMPLER when it is another model */
export async function prepareSampler(study: Study): Promise<void> {
  const { llm, sampler } = study.parts;
  if (llm === undefined || sampler === undefined) return;
  await sampler.prepare({ dialogues: [] }); // a model of the run's own has learnt already
  if (sampler.useModel !== undefined) await sampler.useModel(await exportedModel(study, llm));
  study.context.tracker.tags({ sampler: sampler.identity() });
  await mustBeAlike(study, llm, sampler, null);
}

/** The LLM's frozen weights as files, made once. @param llm without an adapter; the assembly has seen that it has a policy */
async function exportedModel(study: Study, llm: LlmBackend): Promise<ModelFiles> {
  const identity = study.identityOf("llm");
  const step = await study.context.store.step({ step: "exported-model", version: 1, inputs: { model: identity } }, async (folder) => {
    await llm.policy?.exportModel(folder);
    const checkpoint = await openCheckpoint(folder);
    await writeModelGguf(join(folder, "model.gguf"), checkpoint).finally(() => checkpoint.close());
  });
  return { folder: step.folder, identity };
}

/** From here on texts are written with this adapter; null: with none. @throws RLRF_LLM_SAMPLER when they would not be */
export async function writeWith(study: Study, adapter: AdapterFiles | null): Promise<void> {
  const { llm, sampler } = study.parts;
  if (llm === undefined || sampler?.useAdapter === undefined) return; // the LLM itself has the adapter that it is tuned to
  const before = sampler.identity();
  await sampler.useAdapter(adapter);
  if (sampler.identity() !== before) await mustBeAlike(study, llm, sampler, adapter);
}

async function mustBeAlike(study: Study, llm: LlmBackend, sampler: LlmBackend, adapter: AdapterFiles | null): Promise<void> {
  const { data, spec, context } = study;
  const users = data.users.slice(0, probedUsers).keys();
  const asked = Array.from(users, (user) => ({
    messages: promptOf(user, data, spec.prompt),
    completion: metadataText(user, data, spec.prompt),
  }));
  const names = { llm: spec.llm?.plugin ?? "", sampler: spec.llm?.sampler?.plugin ?? "" };
  const tolerance = spec.llm?.sampler?.tolerance ?? 0;
  const with_ = adapter === null ? "" : ` with the adapter ${adapter.folder}`;
  const { tokens, difference } = await likeness(llm, sampler, [...asked, odd], tolerance).catch((error: unknown) => {
    throw error instanceof Unlike ? differs(names, tolerance, `${error.message}${with_}`) : error;
  });
  if (tokens === null || difference === null) {
    const untold = tokens === null ? "token ids nor log-probabilities" : "log-probabilities";
    return study.warn("RLRF_LLM_SAMPLER", `whether ${names.sampler} is the same model as ${names.llm} is not known: it tells no ${untold}`);
  }
  context.logger.info(
    `${names.sampler} writes as ${names.llm} would${with_}: ${tokens} tokens alike, log-probabilities ${difference.toFixed(4)} nats a token apart`,
  );
  context.tracker.metrics({ sampler_difference: difference });
}

/** Two readings of one chat do not go together. */
class Unlike extends Error {}

/** @throws Unlike */
export async function likeness(llm: LlmBackend, sampler: LlmBackend, chats: readonly ProbedChat[], tolerance: number): Promise<Likeness> {
  let tokens: number | null = 0;
  const differences: number[] = [];
  for (const { messages, completion } of chats) {
    const [own, other] = [await llm.probe?.(messages, completion), await sampler.probe?.(messages, completion)];
    const compared = comparedTokens(own?.tokens, other?.tokens);
    tokens = compared === null || tokens === null ? null : tokens + compared;
    differences.push(...comparedLogProbs(own, other));
  }
  const difference = differences.length === 0 ? null : mean(differences);
  if (difference !== null && !(difference <= tolerance))
    throw new Unlike(`log-probabilities lie ${difference.toFixed(3)} nats a token apart`);
  return { tokens, difference };
}

function comparedTokens(own: Probe["tokens"] | undefined, other: Probe["tokens"] | undefined): number | null {
  if (!own || !other) return null;
  const at = own.findIndex((token, i) => token !== other[i]);
  if (at < 0 && own.length === other.length) return own.length;
  const said = (tokens: readonly number[]) => tokens.slice(at < 0 ? own.length : at).slice(0, 3).join(" ") || "nothing"; // biome-ignore format: one line
  throw new Unlike(`from token ${(at < 0 ? own.length : at) + 1} of a prompt on it is ${said(own)} here and ${said(other)} there`);
}

function comparedLogProbs(own: Probe | undefined, other: Probe | undefined): readonly number[] {
  if (!own?.logProbs || !other?.logProbs) return [];
  if (own.logProbs.length !== other.logProbs.length)
    throw new Unlike(`a completion has ${own.logProbs.length} tokens here and ${other.logProbs.length} there`);
  return own.logProbs.map((value, i) => Math.abs(value - (other.logProbs?.[i] as number)));
}

function differs({ llm, sampler }: { readonly llm: string; readonly sampler: string }, tolerance: number, how: string): RlrfError {
  return new RlrfError("RLRF_LLM_SAMPLER", {
    message: `the sampler ${sampler} is not the model that ${llm} is: ${how}`,
    where: "/llm/sampler",
    expected: `the same token ids, and log-probabilities that differ by ${tolerance} nats a token at most`,
    hint: "name the same model and chat template in both, with no adapter merged into one of them; a copy of few bits a number may need a larger llm.sampler.tolerance",
  });
}
