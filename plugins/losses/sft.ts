import { meanLogProb, type PreferenceBatch, type PreferenceLoss, plugin, tf } from "rlrf4rec";

const needs = ["lengths"] as const;

@plugin({
  kind: "loss",
  name: "sft",
  version: "1.0.0",
  summary: "Likelihood of the chosen text alone: rejection-sampling fine-tuning",
  source: "Dong et al. 2023, arXiv 2304.06767 (RAFT)",
  pure: true,
  needs,
  rejected: 0,
})
export class Sft implements PreferenceLoss {
  readonly needs = needs;
  readonly rejected = 0;

  /** -lw / |y_w|: every text weighs the same (TRL's sft: every token of the batch). @returns [pairs], nats a token */
  loss({ chosen }: PreferenceBatch): tf.Tensor1D {
    return tf.neg(meanLogProb(chosen));
  }
}
