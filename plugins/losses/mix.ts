import { type LossNeed, type LossState, options, type PreferenceBatch, type PreferenceLoss, plugin, tf } from "rlrf4rec";

interface MixOptions {
  readonly losses: readonly { readonly loss: PreferenceLoss; readonly weight: number }[];
}

@plugin({
  kind: "loss",
  name: "mix",
  version: "1.0.0",
  summary: "Weighted sum of other losses, such as dpo with the chosen text's likelihood",
  source: "Wang et al. 2024, arXiv 2411.10442, eq. 1 (MPO: 0.8 DPO + 0.2 BCO + 1 SFT, by TRL's documentation)",
  pure: true,
  rejected: 0,
  options: {
    type: "object",
    required: ["losses"],
    properties: {
      losses: {
        type: "array",
        minItems: 1,
        notAllZero: "weight",
        description: "What is summed.",
        items: {
          type: "object",
          required: ["loss"],
          properties: {
            loss: { pluginKind: "loss", description: "A loss, as a section names it." },
            weight: { type: "number", default: 1, unit: "weight", description: "Multiplies the loss." },
          },
        },
      },
    },
  },
})
export class Mix implements PreferenceLoss {
  readonly needs: readonly LossNeed[];
  readonly rejected?: 0;
  readonly beta?: number;

  constructor(@options() private readonly options: MixOptions) {
    const losses = options.losses.map(({ loss }) => loss);
    this.needs = [...new Set(losses.flatMap(({ needs }) => needs))];
    if (losses.every(({ rejected }) => rejected === 0)) this.rejected = 0;
    const beta = losses.find((loss) => loss.beta !== undefined)?.beta;
    if (beta !== undefined) this.beta = beta;
  }

  /** @returns [pairs], nats */
  loss(batch: PreferenceBatch): tf.Tensor1D {
    return tf.addN(this.options.losses.map(({ loss, weight }) => tf.mul<tf.Tensor1D>(loss.loss(batch), weight)));
  }

  state(): LossState {
    const entries = this.options.losses.flatMap(({ loss }, i) =>
      Object.entries(loss.state?.() ?? {}).map(([name, value]) => [`${i}/${name}`, value] as const),
    );
    return Object.fromEntries(entries);
  }

  restore(state: LossState | null): void {
    for (const [i, { loss }] of this.options.losses.entries()) {
      const own = Object.entries(state ?? {}).filter(([name]) => name.startsWith(`${i}/`));
      loss.restore?.(state === null ? null : Object.fromEntries(own.map(([name, value]) => [name.slice(`${i}/`.length), value])));
    }
  }
}
