/** The optional supervised stage before the first iteration: a small model learns the asked structure from template texts. */
import * as tf from "@tensorflow/tfjs-core";
import type { CorpusTexts, LoraOptions, TokenizedExample, TunablePolicy } from "../contracts/llm.js";
import type { Warmup } from "../spec/types.js";
import { adapterOf, tokensOf } from "./align.js";
import { type Objective, tune, type TuningCheckpoint, type TuningSettings, type TuningStep } from "./tuning.js";

export interface WarmupRun {
  readonly policy: TunablePolicy;
  readonly dialogues: CorpusTexts["dialogues"];
  readonly warmup: Pick<Warmup, "epochs" | "batchSize" | "learningRate">;
  readonly lora: LoraOptions;
  readonly seed: number;
  readonly onStep?: (step: TuningStep<Record<never, number>>) => void;
  readonly signal?: AbortSignal;
  readonly checkpoint?: TuningCheckpoint;
}

/** Tunes the policy's adapter in place on the dialogues' completions. */
export async function warmUp({ policy, dialogues, warmup, lora, seed, ...rest }: WarmupRun): Promise<{ readonly steps: number }> {
  policy.attach(lora, seed);
  const examples = dialogues.map(({ messages, completion }) => policy.tokenize(messages, [{ text: completion, ended: true }]));
  const { epochs, batchSize, learningRate } = warmup;
  const settings: TuningSettings = {
    epochs,
    batchSize,
    learningRate,
    accumulate: 1,
    weightDecay: 0,
    clip: 1,
    schedule: "cosine",
    rise: 0.05,
  };
  return tune({ trainee: adapterOf(policy), objective: supervised(policy, examples), settings, seed, ...rest });
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
