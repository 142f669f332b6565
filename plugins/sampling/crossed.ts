import {
  bestOf,
  example,
  type GenerationOptions,
  generationOptions,
  type GenerationParameters,
  generationParameters,
  options,
  plugin,
  type PreferenceExample,
  ranked,
  type SampledText,
  type SamplingStrategy,
  type Selection,
  selection,
  type UserSelection,
  worseThan,
} from "rlrf4rec";

interface CrossedOptions extends GenerationOptions {
  readonly partners: number;
  readonly pairs: number;
}

const needs = ["partners"] as const;

@plugin({
  kind: "sampling",
  name: "crossed",
  version: "1.0.0",
  summary:
    "The best texts of two users against each other, each chosen for its own: what pleases anybody cancels out, and who is asked about is learnt",
  source: "Yin et al. 2024, arXiv 2402.10958 (RPO): responses contrasted across prompts; here where the recommender's rewards cross",
  pure: true,
  needs,
  rejected: 1,
  examples: ["pairs"],
  options: {
    type: "object",
    properties: {
      ...generationOptions,
      partners: {
        type: "integer",
        minimum: 2,
        multipleOf: 2,
        default: 16,
        unit: "users",
        description: "Other users whose best text is scored for a user; of them those with the greatest gain to both are kept.",
      },
      pairs: { type: "integer", minimum: 1, default: 1, unit: "pairs", description: "Users that a user is set against, at most." },
    },
  },
})
export class Crossed implements SamplingStrategy {
  readonly needs = needs;
  readonly rejected = 1;
  readonly samples: number;
  readonly generation: GenerationParameters;
  readonly partners: number;
  private readonly pairs: number;

  constructor(@options() options: CrossedOptions) {
    this.samples = options.samples;
    this.generation = generationParameters(options);
    this.partners = options.partners;
    this.pairs = options.pairs;
  }

  /** The best sample against every other user's text that is worth less here. */
  select(samples: readonly SampledText[]): Selection {
    const candidates = ranked(samples);
    const best = bestOf(candidates.filter(({ origin }) => origin !== "partners"));
    const theirs = candidates.filter(({ origin }) => origin === "partners");
    const examples = best === undefined ? [] : worseThan(best, theirs).map((text) => example(best, text));
    return selection(candidates, examples, theirs.length === 0 ? "no-partner" : "not-better");
  }

  /**
   * Two users keep their examples against each other where both have one: r(u, t) + r(u', t') - r(u, t') - r(u', t) is what the texts say of
   * their users. The greatest sum first, until a user has `pairs` of them.
   */
  compare(selections: readonly UserSelection[]): readonly Selection[] {
    const against = new Map(selections.map((selection) => [selection.user, byPartner(selection)]));
    const crossings = [...against].flatMap(([user, own]) =>
      [...own].flatMap(([partner, { gain }]) => {
        const theirs = user < partner ? against.get(partner)?.get(user) : undefined; // each two once
        return theirs === undefined ? [] : [{ user, partner, sum: gain + theirs.gain }];
      }),
    );
    const matched = new Map([...against.keys()].map((user): [number, number[]] => [user, []]));
    for (const { user, partner } of crossings.sort((a, b) => b.sum - a.sum || a.user - b.user || a.partner - b.partner)) {
      const [own, theirs] = [matched.get(user) as number[], matched.get(partner) as number[]];
      if (own.length >= this.pairs || theirs.length >= this.pairs) continue;
      own.push(partner);
      theirs.push(user);
    }
    return selections.map(({ user, dropped }) => {
      const examples = (matched.get(user) as number[]).flatMap((partner) => against.get(user)?.get(partner)?.example ?? []);
      return { examples, dropped: examples.length > 0 ? null : (dropped ?? "not-crossed") };
    });
  }
}

/** By partner the example against it, and how much less its text is worth to the user than the user's own. */
function byPartner({
  samples,
  examples,
}: UserSelection): ReadonlyMap<number, { readonly example: PreferenceExample; readonly gain: number }> {
  return new Map(
    examples.flatMap((made) => {
      const [own, theirs] = [samples[made.chosen], samples[made.rejected[0] as number]];
      return own === undefined || theirs?.of === undefined
        ? []
        : [[theirs.of, { example: made, gain: own.reward - theirs.reward }] as const];
    }),
  );
}
