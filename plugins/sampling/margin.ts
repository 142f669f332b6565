import {
  bestOf,
  type Candidate,
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
        description:
          "Of all users' best-worst pairs, those that `gap` drops among them, this share with the smallest differences is dropped; 0 = none.",
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
    const ends = endsOf(candidates);
    if (ends === null) return selection(candidates, []);
    return selection(candidates, ends.gap > this.options.gap ? [example(ends.best, ends.worst)] : [], "small-gap");
  }

  /** What the quantile drops: gaps below it, measured over all users whose texts differ in reward. */
  compare(selections: readonly UserSelection[]): readonly Selection[] {
    const gaps = selections.map(({ samples }) => endsOf(ranked(samples))?.gap);
    const sorted = gaps.filter((gap) => gap !== undefined).sort((a, b) => a - b);
    const least = sorted[Math.floor(sorted.length * this.options.quantile)] ?? 0;
    return selections.map(({ examples, dropped }, i) => {
      const isSmall = examples.length > 0 && (gaps[i] ?? 0) < least;
      return isSmall ? { examples: [], dropped: "small-gap" } : { examples, dropped };
    });
  }
}

/** The best text, the worst that is worse, and how far they are apart; null where there are none. */
function endsOf(candidates: readonly Candidate[]): { readonly best: Candidate; readonly worst: Candidate; readonly gap: number } | null {
  const best = bestOf(candidates);
  const worst = best && worstOf(worseThan(best, candidates));
  return best && worst ? { best, worst, gap: best.reward - worst.reward } : null;
}
