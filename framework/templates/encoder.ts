import {
  catalogueOf,
  causalEncoder,
  type EncoderNetwork,
  type FitOptions,
  fitOptions,
  nn,
  type ObjectiveOptions,
  objectiveOptions,
  options,
  type Parameters,
  plugin,
  type SequenceEncoder,
  type tf,
  withOne,
} from "rlrf4rec";

interface TemplateOptions extends FitOptions, ObjectiveOptions {
  readonly hidden: number;
}

@plugin({
  kind: "encoder",
  name: "@team/package/name",
  version: "1.0.0",
  summary: "The last item alone says which comes next",
  source: "a factorised Markov chain, as in Rendle et al. 2010 (WWW), without a user's own part",
  options: {
    type: "object",
    properties: {
      hidden: { type: "integer", minimum: 1, default: 32, description: "Width of the items' vectors" },
      ...objectiveOptions("ce", "a pairwise loss"),
      ...fitOptions({ epochs: 100, batchSize: 128, learningRate: 1e-3, weightDecay: 0, patience: 10 }, "encoder"),
    },
  },
})
export class Template implements SequenceEncoder {
  readonly fit: FitOptions;

  constructor(@options() private readonly options: TemplateOptions) {
    this.fit = options;
  }

  build(scope: Parameters, { items: count }: { readonly items: number }): EncoderNetwork {
    const { hidden } = this.options;
    const items = nn.embedding(scope.scope("items"), { count: count + 1, width: hidden });
    const outputs = nn.embedding(scope.scope("outputs"), { count: count + 1, width: hidden + 1 });
    /** What each place of the history says of the next item. @returns [batch, length, hidden + 1] */
    const states = (ids: tf.Tensor2D): tf.Tensor3D => withOne(items(ids) as tf.Tensor3D);
    return causalEncoder({ catalogue: catalogueOf(outputs), width: hidden + 1, states }, this.options);
  }
}
