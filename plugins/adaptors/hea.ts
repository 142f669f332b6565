import {
  type AdaptedOutput,
  type Adaptor,
  type AdaptorNetwork,
  type AdaptorShape,
  adaptedOutput,
  experts,
  type JoinOptions,
  joinedAdaptor,
  joinOptions,
  mixture,
  options,
  type Parameters,
  plugin,
} from "rlrf4rec";

export interface HeaOptions extends JoinOptions {
  readonly shared: number;
  readonly specific: number;
  readonly hidden: number;
  readonly adapted: number;
  readonly output: AdaptedOutput;
  readonly dropout: number;
}

/** Σ_e g_e(x) E_e(x) over the experts of a side and the shared ones, g = softmax(W x + b), E_e two dense layers: [texts, width] -> [texts, adapted]. */
@plugin({
  kind: "adaptor",
  name: "hea",
  version: "1.0.0",
  summary: "Hybrid-expert adaptor: users' and items' texts through experts of their own and shared ones, then joined",
  source:
    "KAR, Xi et al. 2023, arXiv 2306.10933, section 3.4; its public code rectifies what an expert gives (`output`), and drops nothing by default; the joins `aspects` and `product` are this framework's",
  options: {
    type: "object",
    properties: {
      ...joinOptions,
      shared: { type: "integer", minimum: 0, default: 2, description: "Experts that users and items share" },
      specific: { type: "integer", minimum: 1, default: 5, description: "Experts of each side's own" },
      hidden: { type: "integer", minimum: 1, default: 128, description: "Hidden width of an expert" },
      adapted: { type: "integer", minimum: 1, default: 32, description: "Width of an adapted vector" },
      output: adaptedOutput,
      dropout: { type: "number", minimum: 0, exclusiveMaximum: 1, default: 0.1, description: "Dropout of the experts' hidden layers" },
    },
  },
})
export class HybridExperts implements Adaptor {
  constructor(@options() private readonly options: HeaOptions) {}

  build(scope: Parameters, shape: AdaptorShape): AdaptorNetwork {
    const { specific, adapted, output, dropout: rate } = this.options;
    const each = { ...this.options, width: shape.width };
    const shared = experts(scope.scope("shared"), this.options.shared, each);
    const side = (name: string) => {
      const own = scope.scope(name);
      return mixture(own, [shared, experts(own, specific, each)], each, { rate, output });
    };
    return joinedAdaptor(scope, shape, this.options, { users: side("users"), items: side("items") }, adapted);
  }
}
