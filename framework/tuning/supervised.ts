/** Supervised tuning, before the first iteration: a small model learns the asked structure from template texts. */
import * as tf from "@tensorflow/tfjs-core";
import type { CorpusTexts, TokenizedExample, TunablePolicy } from "../contracts/llm.js";
import { tokensOf } from "./log-probs.js";
import { adapterOf, type LocalTuning } from "./local-tuning.js";
import { type Objective, train } from "./training-loop.js";

/** Tunes the policy's adapter in place on the dialogues' completions. @throws RLRF_ALIGN_… */
export async function tuneOnDialogues(
  { policy, lora, settings, seed, ...rest }: LocalTuning,
  dialogues: CorpusTexts["dialogues"],
): Promise<{ readonly steps: number }> {
  policy.attach(lora, seed);
  const examples = dialogues.map(({ messages, completion }) => policy.tokenize(messages, [{ text: completion, ended: true }]));
  policy.requireMemory?.(examples, settings.batchSize);
  return train({ trainee: adapterOf(policy), objective: supervised(policy, examples), settings, seed, ...rest });
}

/** NLL of a completion token: the mean over all completion tokens of a batch. */
function supervised(policy: TunablePolicy, examples: readonly TokenizedExample[]): Objective<Record<never, number>> {
  return {
    count: examples.length,
    tokens: (index) => tokensOf(examples[index] as TokenizedExample),
    shape: () => 1,
    fingerprint: examples,
    loss: (batch, seed) => {
      const own = batch.map((index) => examples[index] as TokenizedExample);
      const tokens = own.reduce((sum, { completions }) => sum + (completions[0]?.length ?? 0), 0);
      return tf.div(tf.sum(policy.logProbs(own, seed)), -tokens) as tf.Scalar;
    },
  };
}
