/** A preference loss on examples, through a LoRA adapter; the reference is the policy as it is when the tuning begins. */
import * as tf from "@tensorflow/tfjs-core";
import type { PreferenceBatch, PreferenceLoss, PreferenceSide } from "../contracts/feedback.js";
import type { TokenizedExample, TunablePolicy } from "../contracts/llm.js";
import type { AlignmentExample, AlignmentText } from "../contracts/tuner.js";
import { mean } from "../metrics/aggregate.js";
import { adapterOf, type LocalTuning } from "./local-tuning.js";
import { logProbsOf, tokensOf } from "./log-probs.js";
import { alike, type SharedPrompts, sharePrompts, spread } from "./shared-prompts.js";
import { type Objective, train } from "./training-loop.js";

/**
 * Means over the step's pairs of implicit rewards: beta * (log pi - log ref), and beta * log pi for losses without a reference.
 * Without a rejected text only the chosen one's.
 */
export type AlignmentFigures = {
  /** beta * u */
  readonly chosenReward: number;
  /** beta * v, the mean over the rejected texts */
  readonly rejectedReward?: number;
  readonly margin?: number;
  /** Share of rejected texts with v < u. */
  readonly accuracy?: number;
} & Record<string, number>;

/** Tunes the policy's adapter in place. @throws RLRF_ALIGN_…; the adapter is then that of the last good step */
export async function tuneOnPreferences(
  { policy, lora, settings, seed, ...rest }: LocalTuning,
  examples: readonly AlignmentExample[],
  loss: PreferenceLoss,
): Promise<{ readonly steps: number }> {
  policy.attach(lora, seed);
  const mismatched = loss.needs.includes("mismatched") ? mismatchedTexts(examples) : [];
  const tokenized = examples.map(({ messages, chosen, rejected }, index) =>
    policy.tokenize(messages, [chosen, ...rejected, ...mismatched.slice(index, index + 1)]),
  );
  const needsReference = loss.needs.includes("reference");
  policy.requireMemory?.(tokenized, settings.batchSize);
  const shared = sharePrompts(tokenized);
  const reference = needsReference ? await referenceOf(policy, shared, settings.batchSize, rest.signal) : null;
  const objective = preferenceObjective(policy, examples, tokenized, shared.places, reference, loss);
  return train({ trainee: adapterOf(policy), objective, settings, seed, ...rest });
}

/** Log-probs under the policy as it is now, a text of a prompt once. @returns by example those of its completions, nats */
async function referenceOf(
  policy: TunablePolicy,
  { rows, places }: SharedPrompts,
  batchSize: number,
  signal?: AbortSignal,
): Promise<readonly Float32Array[]> {
  const values = await logProbsOf(policy, rows, batchSize, signal);
  return places.map((own) => Float32Array.from(own, ({ row, completion }) => values[row]?.[completion] as number));
}

/** For each example the chosen text of the next one with another prompt; where all prompts are the same, of the next one. */
function mismatchedTexts(examples: readonly AlignmentExample[]): readonly AlignmentText[] {
  const prompts = examples.map(({ messages }) => JSON.stringify(messages));
  return examples.map((_, index) => {
    const after = (by: number) => (index + by) % examples.length;
    let by = 1;
    while (by < examples.length && prompts[after(by)] === prompts[index]) by++;
    return (examples[after(by < examples.length ? by : 1)] as AlignmentExample).chosen;
  });
}

/** Columns of [examples, completions] by role. */
interface Columns {
  readonly rejected: number;
  readonly mismatched: boolean;
}

function preferenceObjective(
  policy: TunablePolicy,
  examples: readonly AlignmentExample[],
  tokenized: readonly TokenizedExample[],
  places: SharedPrompts["places"],
  reference: readonly Float32Array[] | null,
  loss: PreferenceLoss,
): Objective<AlignmentFigures> {
  const mismatched = loss.needs.includes("mismatched");
  const rewards = (index: number) => {
    const { chosen, rejected } = examples[index] as AlignmentExample;
    return Float32Array.from([chosen.reward, ...rejected.map(({ reward }) => reward), ...(mismatched ? [0] : [])]);
  };
  return {
    count: examples.length,
    group: (index) => places[index]?.[0]?.row as number,
    tokens: (index) => tokensOf(tokenized[index] as TokenizedExample),
    shape: (index) => examples[index]?.rejected.length ?? 0,
    fingerprint: { loss: loss.needs, examples: tokenized },
    state: () => loss.state?.() ?? null,
    restore: (state) => loss.restore?.(state),
    loss: (batch, seed, report) => {
      const columns: Columns = { rejected: examples[batch[0] as number]?.rejected.length ?? 0, mismatched };
      const rows = (of: (index: number) => ArrayLike<number>) => tf.tensor2d(batch.map((index) => Array.from(of(index))));
      const shared = sharePrompts(batch.map((index) => tokenized[index] as TokenizedExample));
      const logProbs = spread(policy.logProbs(alike(shared.rows), seed), shared.places);
      const values: PreferenceSide<tf.Tensor2D> = {
        logProbs,
        ...(reference !== null && { reference: rows((index) => reference[index] as Float32Array) }),
        ...(loss.needs.includes("lengths") && {
          lengths: rows((index) => (tokenized[index] as TokenizedExample).completions.map(({ length }) => length)),
        }),
        ...(loss.needs.includes("rewards") && { rewards: rows(rewards) }),
      };
      const preference = preferenceBatch(values, columns);
      report(figuresOf(preference, loss.beta ?? 1));
      return tf.mean(loss.loss(preference)) as tf.Scalar;
    },
  };
}

function preferenceBatch(values: PreferenceSide<tf.Tensor2D>, { rejected, mismatched }: Columns): PreferenceBatch {
  const side = <Shape>(of: (columns: tf.Tensor2D) => Shape): PreferenceSide<Shape> => ({
    logProbs: of(values.logProbs),
    ...(values.reference && { reference: of(values.reference) }),
    ...(values.lengths && { lengths: of(values.lengths) }),
    ...(values.rewards && { rewards: of(values.rewards) }),
  });
  const column = (index: number) => (x: tf.Tensor2D) => tf.reshape(tf.slice(x, [0, index], [-1, 1]), [-1]) as tf.Tensor1D;
  return {
    chosen: side(column(0)),
    rejected: side((x) => tf.slice(x, [0, 1], [-1, rejected])),
    ...(mismatched && { mismatched: side(column(1 + rejected)) }),
  };
}

function figuresOf({ chosen, rejected }: PreferenceBatch, beta: number): AlignmentFigures {
  const implicit = <Shape extends tf.Tensor>({ logProbs, reference }: PreferenceSide<Shape>): ArrayLike<number> =>
    tf.tidy(() => tf.mul(reference === undefined ? logProbs : tf.sub(logProbs, reference), beta).dataSync());
  const u = implicit(chosen);
  const pairs = u.length;
  const k = rejected.logProbs.shape[1];
  const chosenReward = mean(u);
  if (k === 0) return { chosenReward };
  const v = implicit(rejected);
  let won = 0;
  for (let i = 0; i < pairs * k; i++) if ((u[Math.floor(i / k)] as number) > (v[i] as number)) won++;
  const rejectedReward = mean(v);
  return { chosenReward, rejectedReward, margin: chosenReward - rejectedReward, accuracy: won / (pairs * k) };
}
