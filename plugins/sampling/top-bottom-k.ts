import {
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
  worseThan,
} from "rlrf4rec";

interface TopBottomKOptions extends GenerationOptions {
  readonly k: number;
}

@plugin({
  kind: "sampling",
  name: "top-bottom-k",
  version: "1.0.0",
  summary: "Each of the k best texts against each of the k worst",
  source: "Best against worst (Yuan et al. 2024, arXiv 2401.10020) with k at each end: their Cartesian product",
  pure: true,
  rejected: 1,
  examples: ["k", "k"],
  options: {
    type: "object",
    properties: { ...generationOptions, k: { type: "integer", minimum: 1, default: 2, unit: "texts", description: "Texts at each end." } },
  },
})
export class TopBottomK implements SamplingStrategy {
  readonly needs = [] as const;
  readonly rejected = 1;
  readonly samples: number;
  readonly generation: GenerationParameters;

  constructor(@options() private readonly options: TopBottomKOptions) {
    this.samples = options.samples;
    this.generation = generationParameters(options);
  }

  /** Only pairs with a strict order of rewards; where the ends overlap there are fewer than k * k. */
  select(samples: readonly SampledText[]): Selection {
    const candidates = ranked(samples);
    const { k } = this.options;
    const top = candidates.filter(({ conforms }) => conforms).slice(0, k);
    const bottom = candidates.slice(-k).reverse();
    const examples = top.flatMap((chosen) => worseThan(chosen, bottom).map((rejected) => example(chosen, rejected)));
    return selection(candidates, examples);
  }
}
