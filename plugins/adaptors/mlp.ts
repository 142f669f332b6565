import {
  type Adapt,
  type AdaptedOutput,
  type Adaptor,
  type AdaptorNetwork,
  type AdaptorShape,
  adaptedOutput,
  type JoinOptions,
  joinedAdaptor,
  joinOptions,
  nn,
  options,
  type Parameters,
  plugin,
  rectifiedOutput,
  widthsOption,
} from "rlrf4rec";

export interface MlpOptions extends JoinOptions {
  readonly hidden: readonly number[];
  readonly adapted: number;
  readonly output: AdaptedOutput;
  readonly dropout: number;
}

/** relu(x W + b) V + c, a network for each side. */
@plugin({
  kind: "adaptor",
  name: "mlp",
  version: "1.0.0",
  summary: "An MLP for users' texts and one for items': an adaptor without experts",
  source:
    "the two-layer adaptor that KAR compares its experts with, Xi et al. 2023, arXiv 2306.10933, section 4; its public code has one for both sides, and rectifies what it gives (`output`)",
  options: {
    type: "object",
    properties: {
      ...joinOptions,
      hidden: widthsOption([128], "Hidden widths"),
      adapted: { type: "integer", minimum: 1, default: 32, description: "Width of an adapted vector" },
      output: adaptedOutput,
      dropout: { type: "number", minimum: 0, exclusiveMaximum: 1, default: 0.1, description: "Dropout of the hidden layers" },
    },
  },
})
export class MlpAdaptor implements Adaptor {
  constructor(@options() private readonly options: MlpOptions) {}

  build(scope: Parameters, shape: AdaptorShape): AdaptorNetwork {
    const { hidden, adapted, output, dropout } = this.options;
    const side = (name: string): Adapt => {
      const network = nn.mlp(scope.scope(name), shape.width, [...hidden, adapted], dropout);
      return output === "linear" ? network : (texts, mode) => rectifiedOutput(network(texts, mode), dropout, mode);
    };
    return joinedAdaptor(scope, shape, this.options, { users: side("users"), items: side("items") }, adapted);
  }
}
