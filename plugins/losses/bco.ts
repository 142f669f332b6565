import {
  type BetaOption,
  betaOption,
  detached,
  type LossState,
  logRatios,
  meanOverRejected,
  options,
  type PreferenceBatch,
  type PreferenceLoss,
  plugin,
  tf,
} from "rlrf4rec";

interface BcoOptions extends BetaOption {
  readonly shift: boolean;
}

const needs = ["reference"] as const;

@plugin({
  kind: "loss",
  name: "bco",
  version: "1.0.0",
  summary: "Binary classifier optimisation: chosen from rejected texts, with a running mean of rewards as the threshold",
  source: "Jung et al. 2024, arXiv 2404.04656 (BCO, with its reward shift)",
  pure: true,
  needs,
  options: {
    type: "object",
    properties: {
      beta: betaOption(0.1),
      shift: {
        type: "boolean",
        default: true,
        description: "Whether rewards are measured from their running mean; false = from 0, as TRL's bco_pair since 1.0.",
      },
    },
  },
})
export class Bco implements PreferenceLoss {
  readonly needs = needs;
  readonly beta: number;
  /** Of the implicit rewards of all pairs so far, both sides alike. */
  private mean = 0;
  private pairs = 0;

  constructor(@options() private readonly options: BcoOptions) {
    this.beta = options.beta;
  }

  /** -log s(beta u - d) - log s(-(beta v - d)), d = the running mean with this batch in it, no gradient. @returns [pairs], nats */
  loss(batch: PreferenceBatch): tf.Tensor1D {
    const { u, v } = logRatios(batch);
    const [w, l] = [tf.mul(u, this.beta), tf.mul(v, this.beta)];
    const shift = this.options.shift ? this.moved(w, l) : 0;
    return meanOverRejected(tf.add(tf.softplus(tf.sub(shift, w)), tf.softplus(tf.sub(l, shift))));
  }

  private moved(chosen: tf.Tensor, rejected: tf.Tensor): number {
    const [pairs = 0] = chosen.shape;
    const batchMean = (average(detached(chosen)) + average(detached(rejected))) / 2;
    this.pairs += pairs;
    this.mean += ((batchMean - this.mean) * pairs) / this.pairs;
    return this.mean;
  }

  state(): LossState {
    return { mean: this.mean, pairs: this.pairs };
  }

  restore(state: LossState | null): void {
    this.mean = state?.mean ?? 0;
    this.pairs = state?.pairs ?? 0;
  }
}

function average(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
