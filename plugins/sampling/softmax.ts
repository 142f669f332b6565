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

interface SoftmaxOptions extends GenerationOptions {
  readonly gapTemperature: number;
}

@plugin({
  kind: "sampling",
  name: "softmax",
  version: "1.0.0",
  summary: "One pair of texts, drawn the more often the further apart their rewards are",
  source: "Softmax over reward gaps, as in Boltzmann exploration (Sutton & Barto 2018, section 2.8)",
  pure: true,

  rejected: 1,
  options: {
    type: "object",
    properties: {
      ...generationOptions,
      gapTemperature: {
        type: "number",
        exclusiveMinimum: 0,
        default: 0.1,
        unit: "reward",
        description: "T in exp(gap / T): towards 0 the widest pair, large values any pair alike.",
      },
    },
  },
})
export class Softmax implements SamplingStrategy {
  readonly needs = [] as const;
  readonly rejected = 1;
  readonly samples: number;
  readonly generation: GenerationParameters;

  constructor(@options() private readonly options: SoftmaxOptions) {
    this.samples = options.samples;
    this.generation = generationParameters(options);
  }

  /** p(pair) is proportional to exp(gap / T), over the pairs with a strict order of rewards. */
  select(samples: readonly SampledText[], rng: Rng): Selection {
    const candidates = ranked(samples);
    const pairs = orderedPairs(candidates);
    const gaps = pairs.map(([chosen, rejected]) => chosen.reward - rejected.reward);
    const widest = gaps.reduce((a, b) => Math.max(a, b), 0);
    const weights = gaps.map((gap) => Math.exp((gap - widest) / this.options.gapTemperature));
    const point = rng.uniform() * weights.reduce((sum, weight) => sum + weight, 0);
    let passed = 0;
    const drawn = weights.findIndex((weight) => {
      passed += weight;
      return point < passed;
    });
    const pair = pairs[drawn] ?? pairs.at(-1); // the last one where rounding leaves a rest
    return selection(candidates, pair === undefined ? [] : [example(...pair)]);
  }
}
