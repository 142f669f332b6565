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
  type UserSelection,
  worseThan,
  worstOf,
} from "rlrf4rec";

interface MarginOptions extends GenerationOptions {
  readonly gap: number;
  readonly quantile: number;
}

@plugin({
  kind: "sampling",
  name: "margin",
  version: "1.0.0",
  summary: "The best of N texts against the worst, where they are far enough apart",
  source: "Best against worst with a threshold: pairs of little preference strength are often wrong (Wang et al. 2024, arXiv 2401.06080)",
  pure: true,

  rejected: 1,
  options: {
    type: "object",
    properties: {
      ...generationOptions,
      gap: {
        type: "number",
        minimum: 0,
        default: 0.05,
        unit: "reward",
        description: "A pair is kept only with a larger difference of rewards.",
      },
      quantile: {
        type: "number",
        minimum: 0,
        exclusiveMaximum: 1,
        default: 0,
        unit: "share of pairs",
        description: "Of all users' pairs, this share with the smallest differences is dropped as well; 0 = none.",
      },
    },
  },
})
export class Margin implements SamplingStrategy {
  readonly needs = [] as const;
  readonly rejected = 1;
  readonly samples: number;
  readonly generation: GenerationParameters;

  constructor(@options() private readonly options: MarginOptions) {
    this.samples = options.samples;
    this.generation = generationParameters(options);
  }

  /** As best-worst, if the gap allows. */
  select(samples: readonly SampledText[]): Selection {
    const candidates = ranked(samples);
    const best = bestOf(candidates);
    const rejected = best && worstOf(worseThan(best, candidates));
    if (!best || !rejected) return selection(candidates, []);
    return selection(candidates, best.reward - rejected.reward > this.options.gap ? [example(best, rejected)] : [], "small-gap");
  }

  /** What the quantile drops: gaps below it, measured over the users who have a pair. */
  compare(selections: readonly UserSelection[]): readonly Selection[] {
    const gaps = selections.map(gapOf);
    const sorted = gaps.filter((gap) => !Number.isNaN(gap)).sort((a, b) => a - b);
    const least = sorted[Math.floor(sorted.length * this.options.quantile)] ?? 0;
    return selections.map(({ examples, dropped }, i) => {
      return (gaps[i] as number) < least ? { examples: [], dropped: "small-gap" } : { examples, dropped };
    });
  }
}

/** NaN for a user without a pair. */
function gapOf({ samples, examples: [pair] }: UserSelection): number {
  const rewardOf = (index: number | undefined) => samples[index ?? -1]?.reward ?? Number.NaN;
  return rewardOf(pair?.chosen) - rewardOf(pair?.rejected[0]);
}
