import {
  type Adaptor,
  type AdaptorNetwork,
  type AdaptorShape,
  type JoinOptions,
  joinedAdaptor,
  joinOptions,
  options,
  type Parameters,
  plugin,
  type tf,
} from "rlrf4rec";

/** The text encoder's vectors as they are, at a root mean square of 1: what an adaptor adds is what others gain over it. */
@plugin({
  kind: "adaptor",
  name: "none",
  version: "1.0.0",
  summary: "No adaptor: the text encoder's own vectors, joined",
  source: "KAR's ablation of its adaptor, Xi et al. 2023, arXiv 2306.10933, section 4",
  options: { type: "object", properties: joinOptions },
})
export class NoAdaptor implements Adaptor {
  constructor(@options() private readonly options: JoinOptions) {}

  build(scope: Parameters, shape: AdaptorShape): AdaptorNetwork {
    const same = { users: (texts: tf.Tensor2D) => texts, items: (texts: tf.Tensor2D) => texts };
    return joinedAdaptor(scope, shape, this.options, same, shape.width);
  }
}
