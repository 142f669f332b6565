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

const needs = ["previous"] as const;

@plugin({
  kind: "sampling",
  name: "self-play",
  version: "1.0.0",
  summary: "The best text against what the previous policy wrote by itself",
  source: "Chen et al. 2024, arXiv 2401.01335 (SPIN), with the best sample in place of a human text",
  pure: true,
  needs,
  rejected: 1,
  options: { type: "object", properties: generationOptions },
})
export class SelfPlay implements SamplingStrategy {
  readonly needs = needs;
  readonly rejected = 1;
  readonly samples: number;
  readonly generation: GenerationParameters;

  constructor(@options() options: GenerationOptions) {
    this.samples = options.samples;
    this.generation = generationParameters(options);
  }

  /** Dropped where the best text is no better than the previous policy's own. */
  select(samples: readonly SampledText[]): Selection {
    const candidates = ranked(samples);
    const best = bestOf(candidates.filter(({ origin }) => origin !== "previous"));
    const own = candidates.find(({ origin }) => origin === "previous");
    return selection(candidates, best && own && own.reward < best.reward ? [example(best, own)] : [], own ? "not-better" : "no-previous");
  }
}
