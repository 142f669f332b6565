import {
  type GenerationOptions,
  type GenerationParameters,
  generationOptions,
  generationParameters,
  options,
  plugin,
  type SampledText,
  type SamplingStrategy,
  type Selection,
} from "rlrf4rec";

@plugin({
  kind: "sampling",
  name: "best-worst",
  version: "1.0.0",
  summary: "The best of N texts against the worst; users whose texts all score the same are dropped",
  source: "RLRF4Rec, arXiv 2410.05939",
  pure: true,
  rejected: 1,
  options: { type: "object", properties: generationOptions },
})
export class BestWorst implements SamplingStrategy {
  readonly needs = [] as const;
  readonly rejected = 1;
  readonly samples: number;
  readonly generation: GenerationParameters;

  constructor(@options() options: GenerationOptions) {
    this.samples = options.samples;
    this.generation = generationParameters(options);
  }

  /** Of equal rewards the first sample counts, so that nothing is left to chance. Only a text that conforms is chosen. */
  select(samples: readonly SampledText[]): Selection {
    const scored = samples.flatMap(({ reward, conforms }, index) => (Number.isNaN(reward) ? [] : [{ index, reward, conforms }]));
    if (scored.length === 0) return dropped("no-reward");
    const best = scored
      .filter(({ conforms }) => conforms)
      .reduce<Scored | undefined>((a, b) => (a === undefined || b.reward > a.reward ? b : a), undefined);
    if (best === undefined) return dropped("no-conforming");
    const worst = scored.reduce((a, b) => (b.reward < a.reward ? b : a));
    if (!(worst.reward < best.reward)) return dropped("ties");
    return { examples: [{ chosen: best.index, rejected: [worst.index] }], dropped: null };
  }
}

interface Scored {
  readonly index: number;
  readonly reward: number;
}

function dropped(reason: string): Selection {
  return { examples: [], dropped: reason };
}
