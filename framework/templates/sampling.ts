import {
  type GenerationOptions,
  type GenerationParameters,
  generationOptions,
  generationParameters,
  options,
  plugin,
  type Rng,
  type SampledText,
  type SamplingStrategy,
  type Selection,
} from "rlrf4rec";

@plugin({
  kind: "sampling",
  name: "@team/package/name",
  version: "1.0.0",
  summary: "A random pair of texts with unequal rewards",
  source: "uniform over the ordered pairs of a prompt's texts",
  pure: true,
  rejected: 1,
  options: { type: "object", properties: generationOptions },
})
export class Template implements SamplingStrategy {
  readonly needs = [] as const;
  readonly rejected = 1;
  readonly samples: number;
  readonly generation: GenerationParameters;

  constructor(@options() options: GenerationOptions) {
    this.samples = options.samples;
    this.generation = generationParameters(options);
  }

  select(samples: readonly SampledText[], rng: Rng): Selection {
    const pairs = samples.flatMap(({ conforms, reward }, chosen) =>
      conforms ? samples.flatMap((other, rejected) => (other.reward < reward ? [{ chosen, rejected: [rejected] }] : [])) : [],
    );
    const pair = pairs[rng.below(pairs.length)];
    return pair === undefined ? { examples: [], dropped: "no-order" } : { examples: [pair], dropped: null };
  }
}
