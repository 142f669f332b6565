/** Step 6: from the N scored texts of each user to preference examples, and the structure pairs beside them. */
import type { SampledText, SamplingStrategy } from "../contracts/feedback.js";
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
  const rewardPairs: PairedTexts[] = [];
  const structurePairs: PairedTexts[] = [];
  for (const [user, texts] of samples) {
    const rng = createRng(seed, "pairs", user);
    const eligible = texts.flatMap((text) => eligibleFor(text, alignment.structure));
    const { examples, dropped } = strategy.select(eligible, rng);
    if (dropped !== null) count(`dropped: ${dropped}`);
    for (const { chosen, rejected } of examples) {
      rewardPairs.push({
        user,
        teaches: "reward",
        chosen: eligible[chosen] as ScoredSample,
        rejected: rejected.map((i) => eligible[i] as ScoredSample),
      });
    }
    if (alignment.structure === "gate" && strategy.rejected === 1) structurePairs.push(...structurePair(user, texts));
  }
  // structure / (reward + structure) <= share
  const most = Math.floor((rewardPairs.length * alignment.structureShare) / (1 - alignment.structureShare));
  const kept = createRng(seed, "structure pairs").shuffle(structurePairs).slice(0, most);
  count("reward pairs", rewardPairs.length);
  count("structure pairs", kept.length);
  if (structurePairs.length > kept.length) count("structure pairs over the share", structurePairs.length - kept.length);
  return { pairs: [...rewardPairs, ...kept], counts };
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
