/** How much a run will write and tune, told before anything is loaded: an estimate, with what it assumes. */
import { generationOptions } from "../feedback/generation-options.js";
import type { Registry } from "../kernel/registry.js";
import type { Spec } from "../spec/types.js";

/** How often each step of the loop meets a user, from the spec alone. */
export interface Amounts {
  /** Users whom the reward models learn from and are asked about: all that may be sampled, however many are. */
  readonly listeners: number;
  /** Users whose texts are sampled and tuned on, those held out included. */
  readonly alignUsers: number;
  readonly heldOut: number;
  readonly tuned: number;
  readonly iterations: number;
  /** Iterations that fit reward models of their own: those that hear the same texts as the first find its models in the store. */
  readonly refits: number;
  /** Policies that write a greedy text for every user: llm-0, llm-warm, llm-1, … */
  readonly policies: number;
  /** N: texts sampled a prompt. */
  readonly samples: number;
  /** Texts of other users, scored beside the samples of a tuned one. */
  readonly partners: number;
  readonly maxTokens: number;
}

export function amounts({ protocol, alignment, sampling }: Spec, users: number): Amounts {
  const share = protocol.folds > 0 ? protocol.align : protocol.split[0];
  const limit = alignment === undefined || alignment.users === 0 ? Number.POSITIVE_INFINITY : alignment.users;
  const listeners = alignment === undefined ? 0 : Math.round(users * share);
  const alignUsers = Math.min(limit, listeners);
  const heldOut = Math.round(alignUsers * (alignment?.heldOut ?? 0));
  const iterations = alignment?.iterations ?? 0;
  return {
    listeners,
    alignUsers,
    heldOut,
    tuned: alignUsers - heldOut,
    iterations,
    refits: alignment?.hears === "template" ? 1 : iterations,
    policies: 1 + iterations + (alignment?.warmup ? 1 : 0),
    samples: numberOf(sampling?.options.samples, generationOptions.samples.default),
    partners: numberOf(sampling?.options.partners, 0),
    maxTokens: numberOf(sampling?.options.maxTokens, generationOptions.maxTokens.default),
  };
}

/** Arms that a recommender is fitted for: `swapped` is tested with that of the last policy, `best-of-N` with the reward's. */
export function fittedArms(spec: Spec): number {
  const own = spec.arms.filter((arm) => !["llm", "swapped", "best-of-N"].includes(arm)).length;
  return own + (spec.arms.includes("llm") ? amounts(spec, 0).policies : 0);
}

/** Examples that a user is tuned on in an iteration, at most: the strategy's own, and the share of pairs that teach the structure. */
export function examplesOf({ sampling, alignment }: Spec, registry: Registry): number {
  if (sampling === undefined || alignment === undefined) return 0;
  const { examples = [], rejected } = registry.find("sampling", sampling.plugin, sampling.version);
  const own = examples.reduce((product, option) => product * numberOf(sampling.options[option], 1), 1);
  return alignment.structure === "gate" && rejected === 1 ? own / (1 - alignment.structureShare) : own;
}

/** A number among a plugin's options, which have no types here. */
export function numberOf(value: unknown, fallback: number): number {
  return typeof value === "number" ? value : fallback;
}

const tokensOfQuestion = 80;
const tokensOfItem = { title: 10, "title+genres": 16 } as const;

/** Tokens of a prompt, where nobody has counted. */
export function promptTokens({ protocol, prompt }: Spec): number {
  return tokensOfQuestion + protocol.window * tokensOfItem[prompt.items];
}

export interface Estimate {
  readonly users: number;
  readonly alignUsers: number;
  /** Texts that the LLM writes in all. */
  readonly texts: number;
  readonly promptTokens: number;
  /** At most: texts may end before the limit. */
  readonly completionTokens: number;
  /** Preference examples of all iterations, at most: ties make none. */
  readonly pairs: number;
  readonly assumptions: readonly string[];
}

/** @param counted users of the data set, where its options or its asset tell; @returns null when nothing is known or nothing is written */
export function estimate(spec: Spec, registry: Registry, counted: number | undefined): Estimate | null {
  const { protocol, prompt } = spec;
  if (spec.llm === undefined || counted === undefined) return null;
  const { alignUsers, heldOut, tuned, iterations, policies, samples, maxTokens } = amounts(spec, counted);
  const texts = policies * (counted + heldOut * samples) + iterations * tuned * samples;
  const prompts = policies * (counted + heldOut) + iterations * tuned;
  const tokensOfPrompt = promptTokens(spec);
  const examples = examplesOf(spec, registry);
  return {
    users: counted,
    alignUsers,
    texts,
    promptTokens: prompts * tokensOfPrompt,
    completionTokens: texts * maxTokens,
    pairs: Math.round(iterations * tuned * examples),
    assumptions: [
      `${counted} users, none dropped for being too short`,
      `${tokensOfPrompt} tokens a prompt: ${tokensOfQuestion} for the question and ${tokensOfItem[prompt.items]} for each of ${protocol.window} items; computed once for all samples of a user`,
      `${samples} samples of at most ${maxTokens} tokens; at most ${Number(examples.toFixed(2))} preference pairs a user and iteration, those that teach the structure among them`,
      "every iteration runs, and nothing is in the cache yet",
    ],
  };
}
