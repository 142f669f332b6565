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
  type Rng,
  type SampledText,
  type SamplingStrategy,
  selection,
  type Selection,
  worseThan,
} from "rlrf4rec";

interface MultiNegativeOptions extends GenerationOptions {
  readonly k: number;
  readonly negatives: "hardest" | "random" | "spaced";
}

@plugin({
  kind: "sampling",
  name: "multi-negative",
  version: "1.0.0",
  summary: "The best text against k worse ones, for losses that compare with several",
  source: "Chen et al. 2024, arXiv 2406.09215, section 4 (S-DPO: random); hardest first as Hu et al. 2026, arXiv 2605.00327",
  pure: true,

  rejected: "many",
  options: {
    type: "object",
    properties: {
      ...generationOptions,
      k: {
        type: "integer",
        minimum: 1,
        default: 3,
        unit: "texts",
        description: "Rejected texts; fewer where a user has fewer that are worse.",
      },
      negatives: {
        enum: ["hardest", "random", "spaced"],
        default: "hardest",
        description:
          "Which of the worse texts: those with the highest rewards, any, or evenly spaced in reward from the best to the worst of them.",
      },
    },
  },
})
export class MultiNegative implements SamplingStrategy {
  readonly needs = [] as const;
  readonly rejected = "many";
  readonly rejectedAtMost: number;
  readonly samples: number;
  readonly generation: GenerationParameters;

  constructor(@options() private readonly options: MultiNegativeOptions) {
    this.rejectedAtMost = options.k;
    this.samples = options.samples;
    this.generation = generationParameters(options);
  }

  /** Rejected texts come in the order of their rewards, the best first. */
  select(samples: readonly SampledText[], rng: Rng): Selection {
    const candidates = ranked(samples);
    const best = bestOf(candidates);
    const worse = best === undefined ? [] : worseThan(best, candidates);
    return selection(candidates, best && worse.length > 0 ? [example(best, ...this.negatives(worse, rng))] : []);
  }

  private negatives(worse: readonly Candidate[], rng: Rng): readonly Candidate[] {
    const { k, negatives } = this.options;
    if (worse.length <= k || negatives === "hardest") return worse.slice(0, k);
    const chosen = negatives === "random" ? rng.shuffle([...worse]).slice(0, k) : spaced(worse, k);
    return worse.filter((candidate) => chosen.includes(candidate));
  }
}

/** For each of k rewards between the best and the worst, the nearest text that is left; for k = 1 the worst. */
function spaced(worse: readonly Candidate[], k: number): readonly Candidate[] {
  const [most, least] = [worse[0]?.reward as number, worse.at(-1)?.reward as number];
  const left = [...worse];
  return Array.from({ length: k }, (_, i) => {
    const target = k === 1 ? least : most + ((least - most) * i) / (k - 1);
    const distance = ({ reward }: Candidate) => Math.abs(reward - target);
    const nearest = left.reduce((a, b) => (distance(b) < distance(a) ? b : a));
    left.splice(left.indexOf(nearest), 1);
    return nearest;
  });
}
