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

export interface MoeOptions extends JoinOptions {
  readonly experts: number;
  readonly top: number;
  readonly hidden: number;
  readonly adapted: number;
  readonly output: AdaptedOutput;
  readonly dropout: number;
}

/** Σ_e g_e(x) E_e(x): the same experts for users' and items' texts, a gate for each side. */
@plugin({
  kind: "adaptor",
  name: "moe",
  version: "1.0.0",
  summary: "Mixture of experts: users' and items' texts through the same experts, weighed by a gate of each side",
  source:
    "MMoE, Ma et al. 2018 (KDD), eqs. 6-8; `top`: Shazeer et al. 2017, arXiv 1701.06538, eqs. 3-5, without noise; widths as KAR's adaptor, whose public MoE has one gate for both sides and rectifies what an expert gives (`output`)",
  options: {
    type: "object",
    properties: {
      ...joinOptions,
      experts: { type: "integer", minimum: 1, default: 7, description: "Experts; as many as a side of `hea` hears" },
      top: {
        type: "integer",
        minimum: 0,
        default: 0,
        atMost: "experts",
        description: "Experts heard, those that the gate gives most; 0 = all",
      },
      hidden: { type: "integer", minimum: 1, default: 128, description: "Hidden width of an expert" },
      adapted: { type: "integer", minimum: 1, default: 32, description: "Width of an adapted vector" },
      output: adaptedOutput,
      dropout: { type: "number", minimum: 0, exclusiveMaximum: 1, default: 0.1, description: "Dropout of the experts' hidden layers" },
    },
  },
})
export class MixtureOfExperts implements Adaptor {
  constructor(@options() private readonly options: MoeOptions) {}

  build(scope: Parameters, shape: AdaptorShape): AdaptorNetwork {
    const { experts: count, top, adapted, output, dropout: rate } = this.options;
    const each = { ...this.options, width: shape.width };
    const all = experts(scope.scope("experts"), count, each);
    const side = (name: string) => mixture(scope.scope(name), [all], each, { rate, output, ...(top > 0 ? { top } : {}) });
    return joinedAdaptor(scope, shape, this.options, { users: side("users"), items: side("items") }, adapted);
  }
}
