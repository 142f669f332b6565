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
} from "rlrf4rec";

@plugin({
  kind: "sampling",
  name: "ranked-list",
  version: "1.0.0",
  summary: "The whole order of a user's texts, for losses on rankings such as pl-topk",
  source: "Cai et al. 2025, arXiv 2506.00441 (KPO); Song et al. 2023, arXiv 2306.17492 (PRO)",
  pure: true,

  rejected: "ranked",
  options: { type: "object", properties: generationOptions },
})
export class RankedList implements SamplingStrategy {
  readonly needs = [] as const;
  readonly rejected = "ranked";
  readonly samples: number;
  readonly generation: GenerationParameters;

  constructor(@options() options: GenerationOptions) {
    this.samples = options.samples;
    this.generation = generationParameters(options);
  }

  /** From the best text that conforms downwards; of equal rewards only the first text, since neither is to be preferred. */
  select(samples: readonly SampledText[]): Selection {
    const candidates = ranked(samples);
    const best = bestOf(candidates);
    const worse = best === undefined ? [] : worseThan(best, candidates);
    const order = worse.filter(({ reward }, i) => reward !== worse[i - 1]?.reward);
    return selection(candidates, best && order.length > 0 ? [example(best, ...order)] : []);
  }
}
