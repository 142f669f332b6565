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
  worseThan,
  worstOf,
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

  /** Of equal rewards the first sample counts. Only a text that conforms is chosen; any may be rejected. */
  select(samples: readonly SampledText[]): Selection {
    const candidates = ranked(samples);
    const best = bestOf(candidates);
    const rejected = best && worstOf(worseThan(best, candidates));
    return selection(candidates, best && rejected ? [example(best, rejected)] : []);
  }
}
