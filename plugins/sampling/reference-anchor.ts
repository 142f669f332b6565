import {
  bestOf,
  example,
  type GenerationOptions,
  generationOptions,
  type GenerationParameters,
  generationParameters,
  options,
  plugin,
  ranked,
  type SampledText,
  type SamplingStrategy,
  type Selection,
  selection,
} from "rlrf4rec";

const needs = ["greedy"] as const;

@plugin({
  kind: "sampling",
  name: "reference-anchor",
  version: "1.0.0",
  summary: "The best text against the current policy's greedy one",
  source: "The anchor of D'Oosterlinck et al. 2024, arXiv 2408.06266: preferences relative to what the policy would say",
  pure: true,
  needs,
  rejected: 1,
  options: { type: "object", properties: generationOptions },
})
export class ReferenceAnchor implements SamplingStrategy {
  readonly needs = needs;
  readonly rejected = 1;
  readonly samples: number;
  readonly generation: GenerationParameters;

  constructor(@options() options: GenerationOptions) {
    this.samples = options.samples;
    this.generation = generationParameters(options);
  }

  /** Dropped where the best text is no better than the greedy one. */
  select(samples: readonly SampledText[]): Selection {
    const candidates = ranked(samples);
    const best = bestOf(candidates.filter(({ origin }) => origin !== "greedy"));
    const greedy = candidates.find(({ origin }) => origin === "greedy");
    const better = best && greedy && greedy.reward < best.reward;
    return selection(candidates, better ? [example(best, greedy)] : [], greedy ? "not-better" : "no-greedy");
  }
}
