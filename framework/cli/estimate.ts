/** How much a run will write and tune, told before anything is loaded: an estimate, with what it assumes. */
import type { Spec } from "../spec/types.js";

export interface Estimate {
  readonly users: number;
  /** Users whose texts are sampled and tuned on, those held out included. */
  readonly alignUsers: number;
  /** Texts that the LLM writes in all. */
  readonly texts: number;
  readonly promptTokens: number;
  /** At most: texts may end before the limit. */
  readonly completionTokens: number;
  /** Preference pairs of all iterations, at most: ties make none. */
  readonly pairs: number;
  readonly assumptions: readonly string[];
}

const tokensOfQuestion = 80;
const tokensOfItem = { title: 10, "title+genres": 16 } as const;

/** @param counted users of the data set, where its options or its asset tell; @returns null when nothing is known or nothing is written */
export function estimate(spec: Spec, counted: number | undefined): Estimate | null {
  const { protocol, alignment, sampling, prompt } = spec;
  if (spec.llm === undefined || counted === undefined) return null;
  const samples = numberOf(sampling?.options.samples, 10);
  const maxTokens = numberOf(sampling?.options.maxTokens, 64);
  const share = protocol.folds > 0 ? protocol.align : protocol.split[0];
  const limit = alignment === undefined || alignment.users === 0 ? Number.POSITIVE_INFINITY : alignment.users;
  const alignUsers = alignment === undefined ? 0 : Math.min(limit, Math.round(counted * share));
  const heldOut = Math.round(alignUsers * (alignment?.heldOut ?? 0));
  const iterations = alignment?.iterations ?? 0;
  const policies = 1 + iterations + (alignment?.warmup ? 1 : 0);
  const texts = policies * (counted + heldOut * samples) + iterations * (alignUsers - heldOut) * samples;
  const promptsComputed = policies * (counted + heldOut) + iterations * (alignUsers - heldOut);
  const tokensOfPrompt = tokensOfQuestion + protocol.window * tokensOfItem[prompt.items];
  return {
    users: counted,
    alignUsers,
    texts,
    promptTokens: promptsComputed * tokensOfPrompt,
    completionTokens: texts * maxTokens,
    pairs: iterations * (alignUsers - heldOut),
    assumptions: [
      `${counted} users, none dropped for being too short`,
      `${tokensOfPrompt} tokens a prompt: ${tokensOfQuestion} for the question and ${tokensOfItem[prompt.items]} for each of ${protocol.window} items; computed once for all samples of a user`,
      `${samples} samples of at most ${maxTokens} tokens; one pair a user and iteration`,
      "every iteration runs, and nothing is in the cache yet",
    ],
  };
}

function numberOf(value: unknown, fallback: number): number {
  return typeof value === "number" ? value : fallback;
}
