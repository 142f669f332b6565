/** Before hours are spent: has the engine the memory for the tuning that comes after them? */
import type { SamplingStrategy } from "../contracts/feedback.js";
import type { ChatMessage, TokenizedExample, TunablePolicy } from "../contracts/llm.js";
import type { Tuner } from "../contracts/tuner.js";
import type { Alignment } from "../spec/types.js";
import { alignUsers } from "./policy.js";
import { promptOf } from "./prompt.js";
import type { Study } from "./study.js";

/** What the largest batch of a run is made of. */
export interface TuningSizes {
  /** Of the users that are tuned on. */
  readonly prompts: readonly (readonly ChatMessage[])[];
  /** Texts a prompt at most: the chosen one, the rejected ones, and another user's where the loss needs it. */
  readonly texts: number;
  /** Tokens of a text at most. */
  readonly maxTokens: number;
}

/** Called when the model is there and nothing has been written yet. @throws RLRF_ENGINE_MEMORY */
export function requireMemoryOfRun(study: Study): void {
  const { tuning, data, spec } = study;
  if (tuning === null) return;
  const prompts = Array.from(alignUsers(study).tuned, (user) => promptOf(user, data, spec.prompt));
  const texts = 1 + mostRejected(tuning.sampling) + (tuning.loss.loss.needs.includes("mismatched") ? 1 : 0);
  requireTuningMemory(tuning, { prompts, texts, maxTokens: tuning.sampling.generation.maxTokens });
}

function mostRejected({ rejected, rejectedAtMost = Number.POSITIVE_INFINITY, samples, needs }: SamplingStrategy): number {
  const others = samples + needs.length - 1; // the policies' own texts may be rejected, too
  return typeof rejected === "string" ? Math.min(rejectedAtMost, others) : rejected;
}

/** The longest prompt with texts as long as they may be, in batches as large as the spec's. */
export function requireTuningMemory(
  {
    tuner,
    policy,
    alignment,
  }: { readonly tuner: Tuner; readonly policy: TunablePolicy; readonly alignment: Pick<Alignment, "batchSize" | "warmup"> },
  { prompts, texts, maxTokens }: TuningSizes,
): void {
  if (tuner.requireMemory === undefined) return;
  const tokenized = prompts.map((messages) => policy.tokenize(messages, []).prompt);
  const longest = tokenized.reduce((most, prompt) => (prompt.length > most.length ? prompt : most), new Int32Array());
  const example = (completions: number): TokenizedExample => ({
    prompt: longest,
    completions: Array.from({ length: completions }, () => new Int32Array(maxTokens)),
  });
  const { warmup, batchSize } = alignment;
  if (warmup !== null) tuner.requireMemory(policy, example(1), warmup.batchSize);
  tuner.requireMemory(policy, example(texts), batchSize);
}
