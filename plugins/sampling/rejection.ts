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

@plugin({
  kind: "sampling",
  name: "rejection",
  version: "1.0.0",
  summary: "The best text alone, for losses on the chosen text such as sft",
  source: "Dong et al. 2023, arXiv 2304.06767 (RAFT); Touvron et al. 2023, arXiv 2307.09288 (rejection sampling)",
  pure: true,

  rejected: 0,
  options: { type: "object", properties: generationOptions },
})
export class Rejection implements SamplingStrategy {
  readonly needs = [] as const;
  readonly rejected = 0;
  readonly samples: number;
  readonly generation: GenerationParameters;

  constructor(@options() options: GenerationOptions) {
    this.samples = options.samples;
    this.generation = generationParameters(options);
  }

  /** Equal rewards are no reason to drop a user: the first text that conforms is taken. */
  select(samples: readonly SampledText[]): Selection {
    const candidates = ranked(samples);
    const best = bestOf(candidates);
    return selection(candidates, best === undefined ? [] : [example(best)]);
  }
}
