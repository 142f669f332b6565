/** What may stand where: rewards within rewards, language models elsewhere than in their section. Registry entries tell: no plugin is imported. */
import type { Misfit } from "./fit.js";
import { type NamedPlugin, needs, partsOf, withInner } from "./named-plugins.js";
import { takesWeights } from "./options.js";
import type { PlainFault } from "./validate.js";

export function misplaced(named: readonly NamedPlugin[]): readonly PlainFault[] {
  const rules = [shares, unheard, alone, rankedTwice];
  const rewards = named.filter(({ entry }) => entry.kind === "reward").flatMap((reward) => rules.flatMap((rule) => rule(reward)));
  const llms = named.filter(({ entry }) => entry.kind === "llm").flatMap((llm) => strangeLlm(llm, named));
  return [...rewards, ...llms].map((fault) => ({ code: "RLRF_SPEC_CONFLICT", ...fault }));
}

/** Which texts a reward may leave to its prediction is said to the spec's own reward alone. */
function shares(outer: NamedPlugin): readonly Misfit[] {
  return partsOf(outer)
    .filter(({ entry }) => entry.measures)
    .map(({ entry, pointer }) => ({
      pointer: `${pointer}/plugin`,
      message: `the reward "${entry.name}" measures a share of the texts and predicts the others, but within "${outer.entry.name}" it would have to measure all`,
      expected: `"${entry.name}" around "${outer.entry.name}", or in its place the reward that it predicts`,
    }));
}

/** What a text is depends neither on what the recommender hears nor on whom it ranks for, so a difference of two such leaves nothing of it. */
function unheard(outer: NamedPlugin): readonly Misfit[] {
  if (!needs(outer, "neutral") && !needs(outer, "others")) return [];
  return partsOf(outer)
    .flatMap(withInner)
    .filter(({ entry }) => entry.kind === "reward" && entry.reads !== undefined)
    .map(({ entry, pointer }) => ({
      pointer: `${pointer}/plugin`,
      message: `the reward "${entry.name}" looks at the text and not at the recommender's ranking, so within "${outer.entry.name}" it is always 0`,
      expected: "a reward of the ranking (ndcg, map, mrr, log-likelihood)",
    }));
}

/** A batch of another user's rankings holds no further users' to compare with. */
function alone(outer: NamedPlugin): readonly Misfit[] {
  if (!needs(outer, "others")) return [];
  return partsOf(outer)
    .flatMap(withInner)
    .filter((part) => needs(part, "others"))
    .map(({ entry, pointer }) => ({
      pointer: `${pointer}/plugin`,
      message: `the reward "${entry.name}" compares with other users, but within "${outer.entry.name}" it is given one of them at a time`,
      expected: `one of the two, or both side by side in a "weighted" sum`,
    }));
}

/** Two differences are the same either way round; but the outer one asks for all that the inner one compares with twice. */
function rankedTwice(outer: NamedPlugin): readonly Misfit[] {
  if (!needs(outer, "neutral")) return [];
  return partsOf(outer)
    .filter((part) => needs(part, "others"))
    .map(({ entry, pointer }) => ({
      pointer: `${pointer}/plugin`,
      message: `the reward "${entry.name}" has the lists of all its other users ranked twice within "${outer.entry.name}"`,
      expected: `"${entry.name}" around "${outer.entry.name}": the same for half the rankings`,
    }));
}

const ready = "an llm that is there already (causal-lm, llama-cpp, openai)";

function strangeLlm({ entry, reference, pointer }: NamedPlugin, named: readonly NamedPlugin[]): readonly Misfit[] {
  const [own, sampler] = ["/llm", "/llm/sampler"].map((place) => pointer === place);
  const name = `the llm "${entry.name}"`;
  const faults: Misfit[] = [];
  if (entry.needs?.includes("dialogues") && !own)
    faults.push({
      pointer: `${pointer}/plugin`,
      message: `${name} learns to write from the run's dialogues, which the spec's own llm alone is given`,
      expected: ready,
    });
  if (entry.recorded && !own && !sampler)
    faults.push({ pointer: `${pointer}/plugin`, message: `${name} gives texts on record, whatever it is asked`, expected: ready });
  const llm = named.find((plugin) => plugin.pointer === "/llm")?.entry;
  if (takesWeights(entry, reference.options) && !(sampler && llm?.tunable))
    faults.push({
      pointer: `${pointer}/options`,
      message: `${name} takes the weights of the llm that it samples for, and ${sampler ? `"${llm?.name}" has none to give` : "here there is none"}`,
      expected: "a model of its own in its options",
    });
  return faults;
}
