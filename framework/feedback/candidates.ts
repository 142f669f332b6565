/** What sampling strategies share: the texts of a user in the order of their rewards. */
import type { PreferenceExample, SampledText, Selection } from "../contracts/feedback.js";

/** A text with its place among the samples. */
export interface Candidate extends SampledText {
  readonly index: number;
}

/** The texts that have a reward, the best first; of equal rewards the first sample, so that nothing is left to chance. */
export function ranked(samples: readonly SampledText[]): readonly Candidate[] {
  return samples
    .map((sample, index) => ({ ...sample, index }))
    .filter(({ reward }) => !Number.isNaN(reward))
    .sort((a, b) => b.reward - a.reward || a.index - b.index);
}

/** The best text that may be chosen. */
export function bestOf(candidates: readonly Candidate[]): Candidate | undefined {
  return candidates.find(({ conforms }) => conforms);
}

/** Those with a reward below that of the chosen one, the best first. */
export function worseThan(chosen: Candidate, candidates: readonly Candidate[]): readonly Candidate[] {
  return candidates.filter(({ reward }) => reward < chosen.reward);
}

/** The last in rank, of equal rewards the first sample. */
export function worstOf(candidates: readonly Candidate[]): Candidate | undefined {
  return candidates.find(({ reward }) => reward === candidates.at(-1)?.reward);
}

export function example(chosen: Candidate, ...rejected: readonly Candidate[]): PreferenceExample {
  return { chosen: chosen.index, rejected: rejected.map(({ index }) => index) };
}

/** The examples, or why there are none: no reward, nothing to choose, or else what the strategy says. */
export function selection(candidates: readonly Candidate[], examples: readonly PreferenceExample[], otherwise = "ties"): Selection {
  if (examples.length > 0) return { examples, dropped: null };
  if (candidates.length === 0) return { examples, dropped: "no-reward" };
  return { examples, dropped: bestOf(candidates) === undefined ? "no-conforming" : otherwise };
}

/** Every pair with a strict order of rewards whose better text may be chosen, the best chosen first. */
export function orderedPairs(candidates: readonly Candidate[]): readonly (readonly [chosen: Candidate, rejected: Candidate])[] {
  return candidates
    .filter(({ conforms }) => conforms)
    .flatMap((chosen) => worseThan(chosen, candidates).map((rejected) => [chosen, rejected] as const));
}
