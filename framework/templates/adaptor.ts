import {
  type Adaptor,
  type AdaptorNetwork,
  type AdaptorShape,
  type JoinOptions,
  joinedAdaptor,
  joinOptions,
  nn,
  options,
  type Parameters,
  plugin,
} from "rlrf4rec";

interface TemplateOptions extends JoinOptions {
  readonly adapted: number;
}

@plugin({
  kind: "adaptor",
  name: "@team/package/name",
  version: "1.0.0",
  summary: "A linear map for users' texts and one for items'",
  source: "x W + b on each side, joined",
  options: {
    type: "object",
    properties: {
      ...joinOptions,
      adapted: { type: "integer", minimum: 1, default: 32, description: "Width of an adapted vector" },
    },
  },
})
export class Template implements Adaptor {
  constructor(@options() private readonly options: TemplateOptions) {}

  build(scope: Parameters, shape: AdaptorShape): AdaptorNetwork {
    const { adapted } = this.options;
    const side = (name: string) => nn.mlp(scope.scope(name), shape.width, [adapted], 0);
    return joinedAdaptor(scope, shape, this.options, { users: side("users"), items: side("items") }, adapted);
  }
}
