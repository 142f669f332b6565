/** Trains a whole decoder on dialogues, from nothing. */
import * as tf from "@tensorflow/tfjs-core";
import type { TokenizedExample } from "../contracts/llm.js";
import type { TuningSettings } from "../contracts/tuner.js";
import type { Parameters } from "../tensor/parameters.js";
import { type Objective, train, trainingSteps } from "../tuning/training-loop.js";
import type { DecoderConfig } from "./config.js";
import { pack, packedLogProbs } from "./packed.js";
import { Rotary } from "./rotary.js";
import type { DecoderWeights } from "./weights.js";

export interface Pretraining {
  readonly config: DecoderConfig;
  readonly weights: DecoderWeights;
  /** The variables that `weights` are. */
  readonly parameters: Parameters;
  /** One prompt and one completion each. */
  readonly examples: readonly TokenizedExample[];
  readonly settings: TuningSettings;
  /** Weight of the prompt's own tokens beside the completion's; 0 = only completions are learnt. */
  readonly promptLoss: number;
  readonly seed: number;
  /** Hears of every step, of how many. */
  readonly onStep?: (step: { readonly step: number; readonly steps: number; readonly loss: number }) => void;
}

/** @throws RLRF_ALIGN_NAN when it diverges */
export async function pretrain({ config, weights, parameters, examples, settings, promptLoss, seed, onStep }: Pretraining): Promise<void> {
  const rotary = new Rotary(config);
  const variables = [...parameters.all.values()];
  try {
    await train({
      trainee: { variables: () => variables, state: () => parameters.state(), restore: (state) => parameters.restore(state) },
      objective: dialogues(config, weights, rotary, examples, promptLoss),
      settings,
      seed,
      onStep,
    });
  } finally {
    rotary.dispose();
  }
}

/** How many steps `pretrain` will take. */
export function pretrainingSteps(examples: number, settings: TuningSettings): number {
  return trainingSteps({ count: examples, shape: () => 1 }, settings);
}

/** Mean NLL of a completion token, and promptLoss times that of a prompt token. */
function dialogues(
  config: DecoderConfig,
  weights: DecoderWeights,
  rotary: Rotary,
  examples: readonly TokenizedExample[],
  promptLoss: number,
): Objective<Record<never, number>> {
  const completionTokens = ({ completions }: TokenizedExample) => completions[0]?.length ?? 0;
  return {
    count: examples.length,
    tokens: (index) => {
      const example = examples[index] as TokenizedExample;
      return example.prompt.length + completionTokens(example);
    },
    shape: () => 1,
    fingerprint: examples,
    loss: (batch) => {
      const own = batch.map((index) => examples[index] as TokenizedExample);
      const sums = packedLogProbs(config, weights, rotary, pack(own, promptLoss > 0)); // [rows, 1 or 2]
      const scale = [-1 / own.reduce((sum, example) => sum + completionTokens(example), 0)];
      if (promptLoss > 0) scale.push(-promptLoss / own.reduce((sum, { prompt }) => sum + prompt.length - 1, 0));
      return tf.sum(tf.mul(sums, tf.tensor1d(scale))) as tf.Scalar;
    },
  };
}
