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
  type SampledText,
  type SamplingStrategy,
  type Selection,
  selection,
} from "rlrf4rec";

interface LengthMatchedOptions extends GenerationOptions {
  readonly ratio: number;
}

@plugin({
  kind: "sampling",
  name: "length-matched",
  version: "1.0.0",
  summary: "The widest pair of rewards among texts of like length, against length bias",
  source: "Park et al. 2024, arXiv 2403.19159, on length bias; matching as in Singhal et al. 2023, arXiv 2310.03716",
  pure: true,

  rejected: 1,
  options: {
    type: "object",
    properties: {
      ...generationOptions,
      ratio: {
        type: "number",
        minimum: 1,
        default: 1.25,
        unit: "times",
        description: "The longer of the two has at most so many times the tokens of the shorter.",
      },
    },
  },
})
export class LengthMatched implements SamplingStrategy {
  readonly needs = [] as const;
  readonly rejected = 1;
  readonly samples: number;
  readonly generation: GenerationParameters;

  constructor(@options() private readonly options: LengthMatchedOptions) {
    this.samples = options.samples;
    this.generation = generationParameters(options);
  }

  /** Of equally wide pairs the one with the better chosen text. */
  select(samples: readonly SampledText[]): Selection {
    const candidates = ranked(samples);
    const alike = orderedPairs(candidates).filter(
      ([{ length: a }, { length: b }]) => Math.max(a, b) <= this.options.ratio * Math.max(Math.min(a, b), 1),
    );
    const gap = ([chosen, rejected]: (typeof alike)[number]) => chosen.reward - rejected.reward;
    const widest = alike.reduce<(typeof alike)[number] | undefined>((a, b) => (a === undefined || gap(b) > gap(a) ? b : a), undefined);
    const reason = orderedPairs(candidates).length > 0 ? "lengths" : "ties";
    return selection(candidates, widest === undefined ? [] : [example(...widest)], reason);
  }
}
