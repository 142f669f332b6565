/** Step 6: from the N scored texts of each user to preference examples, and the structure pairs beside them. */
import type { SampledText, SamplingStrategy, UserSelection } from "../contracts/feedback.js";
import { bestOf, ranked } from "../feedback/candidates.js";
import type { Alignment } from "../spec/types.js";
import { createRng } from "../rng.js";

/** A text of a user, sampled and scored. */
export interface ScoredSample extends SampledText {
  /** The text ended by itself, not at the token limit. */
  readonly finished: boolean;
  readonly structureRate: number;
  /** In the asked structure, whole. */
  readonly structured: boolean;
}

/** A preference example with everything the loss may ask for; one rejected text for pairs, none for `rejection`, more for lists. */
export interface PairedTexts {
  readonly user: number;
  /** "reward": says which text ranks better. "structure": says to answer in the asked form. */
  readonly teaches: "reward" | "structure";
  readonly chosen: ScoredSample;
  readonly rejected: readonly ScoredSample[];
}

export interface Pairing {
  readonly pairs: readonly PairedTexts[];
  /** Kept and dropped, by reason. */
  readonly counts: Readonly<Record<string, number>>;
}

/** @param samples by user number */
export function pairTexts(
  samples: ReadonlyMap<number, readonly ScoredSample[]>,
  strategy: SamplingStrategy,
  alignment: Alignment,
  seed: number,
): Pairing {
  const counts: Record<string, number> = { users: samples.size };
  const count = (what: string, by = 1) => {
    counts[what] = (counts[what] ?? 0) + by;
  };
  const selections = select(samples, strategy, alignment, seed);
  for (const { dropped } of selections) if (dropped !== null) count(`dropped: ${dropped}`);
  const rewardPairs = selections.flatMap(({ user, samples: eligible, examples }) =>
    examples.map(({ chosen, rejected }): PairedTexts => {
      const at = (index: number) => eligible[index] as ScoredSample;
      return { user, teaches: "reward", chosen: at(chosen), rejected: rejected.map(at) };
    }),
  );
  const gated = alignment.structure === "gate" && strategy.rejected === 1;
  const structurePairs = gated ? [...samples].flatMap(([user, texts]) => structurePair(user, sampled(texts))) : [];
  // structure / (reward + structure) <= share
  const most = Math.floor((rewardPairs.length * alignment.structureShare) / (1 - alignment.structureShare));
  const kept = createRng(seed, "structure pairs").shuffle(structurePairs).slice(0, most);
  count("reward pairs", rewardPairs.length);
  count("structure pairs", kept.length);
  if (structurePairs.length > kept.length) count("structure pairs over the share", structurePairs.length - kept.length);
  return { pairs: [...rewardPairs, ...kept], counts };
}

/** The texts that were drawn, without the policies' own texts that a strategy asked for beside them. */
export function sampled(texts: readonly ScoredSample[]): readonly ScoredSample[] {
  return texts.filter(({ origin = "sample" }) => origin === "sample");
}

/** The best of a user's samples that may be chosen. */
export function bestSample(texts: readonly ScoredSample[], structure: Alignment["structure"]): ScoredSample | undefined {
  const eligible = sampled(texts).flatMap((text) => eligibleFor(text, structure));
  return eligible[bestOf(ranked(eligible))?.index ?? -1];
}

interface Selected extends UserSelection {
  readonly samples: readonly ScoredSample[];
}

function select(
  samples: ReadonlyMap<number, readonly ScoredSample[]>,
  strategy: SamplingStrategy,
  { structure }: Alignment,
  seed: number,
): readonly Selected[] {
  const selections = [...samples].map(([user, texts]): Selected => {
    const eligible = texts.flatMap((text) => eligibleFor(text, structure));
    return { user, samples: eligible, ...strategy.select(eligible, createRng(seed, "pairs", user)) };
  });
  const compared = strategy.compare?.(selections);
  return compared === undefined ? selections : selections.map((selection, i) => ({ ...selection, ...compared[i] }));
}

/**
 * Under the gate a reward pair speaks of the reward alone: both sides keep the structure. Otherwise any text may be
 * rejected, but only one that ended by itself may be chosen.
 */
function eligibleFor(text: ScoredSample, structure: Alignment["structure"]): ScoredSample[] {
  if (Number.isNaN(text.reward)) return [];
  if (structure === "gate") return text.structured && text.finished ? [{ ...text, conforms: true }] : [];
  return [{ ...text, conforms: text.finished }];
}

/** Chosen: keeps the structure with at least the median reward; rejected: breaks it, and has no better reward. */
function structurePair(user: number, texts: readonly ScoredSample[]): PairedTexts[] {
  const scored = texts.filter((text) => !Number.isNaN(text.reward));
  const median = scored.map((text) => text.reward).sort((a, b) => a - b)[Math.floor(scored.length / 2)];
  if (median === undefined) return [];
  const chosen = scored.find((text) => text.structured && text.finished && text.reward >= median);
  if (chosen === undefined) return [];
  const rejected = scored.find((text) => !text.structured && text.reward <= chosen.reward);
  return rejected === undefined ? [] : [{ user, teaches: "structure", chosen, rejected: [rejected] }];
}
