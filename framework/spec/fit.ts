/** Whether the parts that a spec names go together, as far as their registry entries tell: no plugin is imported. */
import type { SpecSection } from "../contracts/kinds.js";
import type { Registry } from "../kernel/registry.js";
import { type NamedPlugin, partsOf, withInner } from "./named-plugins.js";
import { takesAdapters } from "./options.js";
import type { Section, SoundSections } from "./sound.js";
import type { Spec } from "./types.js";
import type { PlainFault } from "./validate.js";

/** How many rejected texts a sampling strategy gives, or a loss takes at least; the most demanding first. */
const rejectedCounts = ["ranked", "many", 1, 0] as const;
export type Rejected = (typeof rejectedCounts)[number];

/** What a rule may look at. */
interface Parts {
  readonly spec: Spec;
  readonly registry: Registry;
  /** The plugins that the sections name. */
  readonly named: Readonly<Partial<Record<SpecSection, NamedPlugin>>>;
}

/** Each rule, and the sections without which it cannot tell. */
const rules: readonly (readonly [misfitOf: (parts: Parts) => Misfit | null, reads: readonly Section[]])[] = [
  [textMisfit, ["textEncoder", "llm"]],
  [tuningMisfit, ["llm", "alignment"]],
  [feedbackMisfit, ["loss", "sampling"]],
  [batchMisfit, ["loss", "alignment"]],
  [samplesMisfit, ["sampling", "alignment"]],
  [structureMisfit, ["alignment", "reward", "sampling"]],
  [partnersMisfit, ["alignment", "reward", "sampling"]],
  [samplerMisfit, ["llm", "alignment"]],
];

/** @param plugins those that the sound sections name */
export function misfits({ spec, sound }: SoundSections, registry: Registry, plugins: readonly NamedPlugin[]): readonly PlainFault[] {
  const parts: Parts = { spec, registry, named: Object.fromEntries(plugins.map((plugin) => [plugin.pointer.slice(1), plugin])) };
  const found = rules.map(([misfitOf, reads]) => (reads.every(sound) ? misfitOf(parts) : null));
  return found.flatMap((misfit) => (misfit === null ? [] : [{ code: "RLRF_SPEC_CONFLICT", ...misfit }]));
}

export interface Misfit {
  readonly pointer: string;
  readonly message: string;
  readonly expected: string;
}

/** Text encoders that read hidden states need an LLM that has some to show. */
function textMisfit({ spec: { textEncoder, llm }, registry }: Parts): Misfit | null {
  const { needs = [] } = registry.find("text-encoder", textEncoder.plugin, textEncoder.version);
  if (!needs.includes("hidden")) return null;
  return hiddenMisfit(
    textEncoder.plugin,
    llm && { name: llm.plugin, hidden: registry.find("llm", llm.plugin, llm.version).hidden === true },
  );
}

export function hiddenMisfit(encoder: string, llm: { readonly name: string; readonly hidden: boolean } | undefined): Misfit | null {
  if (llm?.hidden) return null;
  return {
    pointer: "/textEncoder",
    message:
      llm === undefined
        ? `${encoder} gives hidden states of the run's language model, and the spec has none`
        : `${encoder} gives hidden states of the run's language model, but ${llm.name} runs elsewhere and gives texts alone`,
    expected: 'an "llm" whose weights this process has (tiny, causal-lm), or another text encoder',
  };
}

/** Tuning needs weights that this process can change. */
function tuningMisfit({ spec: { llm, alignment }, registry }: Parts): Misfit | null {
  if (alignment === undefined || llm === undefined || registry.find("llm", llm.plugin, llm.version).tunable) return null;
  return {
    pointer: "/llm/plugin",
    message: `the llm ${llm.plugin} writes texts but cannot be tuned, and the spec has the section "alignment"`,
    expected: 'an llm that can (tiny, causal-lm), this one as its "sampler", or no "alignment"',
  };
}

/** A preference is between texts that differ: one sample of a user, or samples that are all the likeliest text, make none. */
function samplesMisfit({ spec: { alignment, sampling }, registry }: Parts): Misfit | null {
  if (alignment === undefined || sampling === undefined) return null;
  const { plugin, version, options } = sampling;
  const { rejected, needs = [] } = registry.find("sampling", plugin, version);
  if (rejected === 0 || rejected === undefined) return null;
  if (options.samples === 1 && needs.length === 0)
    return {
      pointer: "/sampling/options/samples",
      message: `${plugin} compares the texts of a user with each other, and draws one`,
      expected: "at least 2 samples, or a strategy that compares with other texts (self-play, reference-anchor, crossed)",
    };
  if (needs.includes("partners")) return null; // which are other users' texts
  const likeliest = options.temperature === 0 ? "temperature" : options.topK === 1 ? "topK" : null;
  if (likeliest === null) return null;
  return {
    pointer: `/sampling/options/${likeliest}`,
    message: `with ${likeliest} = ${options[likeliest]} all samples of a user are the same text, so ${plugin} has nothing to compare`,
    expected: likeliest === "temperature" ? "a temperature above 0" : "a topK above 1, or 0 (off)",
  };
}

/** How far a text keeps the structure is the same whoever it is for. */
function partnersMisfit({ named: { reward, sampling } }: Parts): Misfit | null {
  if (reward === undefined || sampling?.entry.needs?.includes("partners") !== true || !readsStructure(reward)) return null;
  return {
    pointer: "/reward/plugin",
    message: `"${sampling.entry.name}" compares what a text is worth to two users, and "${reward.entry.name}" rewards it alike for both`,
    expected: "a reward that ranks the user's lists, or another strategy",
  };
}

/** Under the gate only texts in the whole structure are compared: as far as they keep it, they are alike. */
function structureMisfit({ spec: { alignment }, named: { reward, sampling } }: Parts): Misfit | null {
  if (alignment?.structure !== "gate" || reward === undefined || sampling?.entry.rejected === 0 || !readsStructure(reward)) return null;
  return {
    pointer: "/alignment/structure",
    message: `with structure = "gate" only texts that keep the whole structure are compared, and "${reward.entry.name}" rewards all of them alike`,
    expected: '"off" or "reward", or a reward that tells such texts apart',
  };
}

function readsStructure(reward: NamedPlugin): boolean {
  const parts = partsOf(reward);
  return parts.length === 0 ? reward.entry.reads === "structure" : parts.every(readsStructure);
}

/** What samples in the place of an LLM that is tuned has to take its adapters. */
function samplerMisfit({ spec: { llm, alignment }, registry }: Parts): Misfit | null {
  if (llm?.sampler === undefined || alignment === undefined) return null;
  const { plugin, version, options } = llm.sampler;
  const { takesAdapters: when } = registry.find("llm", plugin, version);
  if (takesAdapters({ takesAdapters: when }, options)) return null;
  const asked =
    typeof when === "object" ? Object.entries(when).map(([option, value]) => `options.${option} = ${JSON.stringify(value)}`) : [];
  return {
    pointer: "/llm/sampler",
    message: `the sampler ${plugin} cannot write with the adapters that ${llm.plugin} is tuned to${asked.length > 0 ? " as it stands here" : ""}`,
    expected: [...asked, 'a sampler that takes adapters (llama-cpp, openai with vLLM), or no "alignment"'].join("; or "),
  };
}

function feedbackMisfit({ named: { loss, sampling } }: Parts): Misfit | null {
  if (loss === undefined || sampling?.entry.rejected === undefined) return null; // a plugin that does not say: the assembled one will
  return rejectedMisfit(takenBy(loss), sampling.entry.rejected);
}

/** Gradients of accumulated batches are added, but each batch is computed by itself. */
function batchMisfit({ spec: { alignment }, named: { loss } }: Parts): Misfit | null {
  if (alignment?.batchSize !== 1 || loss === undefined) return null;
  const comparing = withInner(loss).find(({ entry }) => entry.kind === "loss" && entry.needs?.includes("batch"));
  if (comparing === undefined) return null;
  return {
    pointer: "/alignment/batchSize",
    message: `the loss "${comparing.entry.name}" compares the pairs of a batch with each other, and a batch holds one (accumulate does not change that)`,
    expected: "a batchSize of at least 2, the more the better, or another loss",
  };
}

/** A loss that lists several texts needs a strategy that gives several, in their order where it learns that; one on pairs takes exactly one; `sft` and its like are content with any. */
export function rejectedMisfit(takes: Rejected, gives: Rejected): Misfit | null {
  if (takes === 0 || takes === gives || (takes === "many" && gives === "ranked")) return null;
  if (takes === "ranked" && gives === "many")
    return {
      pointer: "/sampling",
      message: "the loss learns the order of the rejected texts, and the sampling strategy gives texts of equal rewards in some order, too",
      expected: "a strategy that ranks (ranked-list), or a loss that takes them alike (s-dpo, dmpo)",
    };
  if (typeof takes === "string")
    return {
      pointer: "/sampling",
      message: `the loss compares a chosen text with several, but the sampling strategy gives ${gives === 0 ? "none" : "one"}`,
      expected: `a strategy with many rejected texts (${takes === "many" ? "multi-negative, " : ""}ranked-list), or a loss on pairs`,
    };
  if (gives === 0)
    return {
      pointer: "/sampling",
      message: "the loss compares a chosen text with a rejected one, but the sampling strategy gives none",
      expected: "a strategy that makes pairs, or a loss on the chosen text alone (sft)",
    };
  return {
    pointer: "/loss",
    message: "the sampling strategy gives several rejected texts, but the loss takes pairs",
    expected: 'a loss that needs "listwise", or a strategy that makes pairs',
  };
}

/** The most demanding of the loss and those within it. */
function takenBy(loss: NamedPlugin): Rejected {
  const { needs = [], rejected } = loss.entry;
  const takes = [rejectedTaken({ needs, ...(rejected === 0 && { rejected }) }), ...partsOf(loss).map(takenBy)];
  return rejectedCounts.find((count) => takes.includes(count)) ?? 0;
}

export function rejectedTaken({ needs, rejected }: { readonly needs: readonly string[]; readonly rejected?: 0 }): Rejected {
  if (needs.includes("ranked")) return "ranked";
  return needs.includes("listwise") ? "many" : (rejected ?? 1);
}
