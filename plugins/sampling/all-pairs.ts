import {
  example,
  type GenerationOptions,
  generationOptions,
  type GenerationParameters,
  generationParameters,
  options,
  orderedPairs,
  plugin,
  ranked,
  type Rng,
  type SampledText,
  type SamplingStrategy,
  selection,
  type Selection,
} from "rlrf4rec";

interface AllPairsOptions extends GenerationOptions {
  readonly cap: number;
}

@plugin({
  kind: "sampling",
  name: "all-pairs",
  version: "1.0.0",
  summary: "Every pair of texts with a strict order of rewards, up to a number a user",
  source: "Ouyang et al. 2022, arXiv 2203.02155, section 3.5 (all comparisons of a ranking)",
  pure: true,
  rejected: 1,
  examples: ["cap"],
  options: {
    type: "object",
    properties: {
      ...generationOptions,
      cap: {
        type: "integer",
        minimum: 1,
        default: 16,
        unit: "pairs",
        description: "Pairs of a user at most; if there are more, so many are drawn.",
      },
    },
  },
})
export class AllPairs implements SamplingStrategy {
  readonly needs = [] as const;
  readonly rejected = 1;
  readonly samples: number;
  readonly generation: GenerationParameters;

  constructor(@options() private readonly options: AllPairsOptions) {
    this.samples = options.samples;
    this.generation = generationParameters(options);
  }

  /** Each pair is drawn at most once. */
  select(samples: readonly SampledText[], rng: Rng): Selection {
    const candidates = ranked(samples);
    const pairs = orderedPairs(candidates);
    const order = pairs.map((_, i) => i);
    const kept =
      pairs.length > this.options.cap
        ? rng
            .shuffle(order)
            .slice(0, this.options.cap)
            .sort((a, b) => a - b)
        : order;
    return selection(
      candidates,
      kept.map((i) => example(...(pairs[i] as (typeof pairs)[number]))),
    );
  }
}
