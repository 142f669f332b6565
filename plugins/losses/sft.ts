import { logProbOfTokens, options, type PreferenceBatch, type PreferenceLoss, plugin, tf } from "rlrf4rec";

interface SftOptions {
  readonly each: "text" | "token";
}

const needs = ["lengths"] as const;

@plugin({
  kind: "loss",
  name: "sft",
  version: "1.1.0",
  summary: "Likelihood of the chosen text alone: rejection-sampling fine-tuning",
  source: "Dong et al. 2023, arXiv 2304.06767 (RAFT)",
  pure: true,
  needs,
  rejected: 0,
  options: {
    type: "object",
    properties: {
      each: {
        enum: ["text", "token"],
        default: "text",
        description: "What weighs the same: every text of a batch, or every token, as in TRL's sft, where long texts count more.",
      },
    },
  },
})
export class Sft implements PreferenceLoss {
  readonly needs = needs;
  readonly rejected = 0;

  constructor(@options() private readonly options: SftOptions) {}

  /** -lw / |y_w|; by token -lw over the batch's mean length. @returns [pairs], nats a token */
  loss({ chosen }: PreferenceBatch): tf.Tensor1D {
    return tf.neg(logProbOfTokens(chosen, this.options.each));
  }
}
