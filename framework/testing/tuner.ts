/** Contract suite of tuners: a small policy is tuned with each, towards what it was asked for. */
import assert from "node:assert/strict";
import fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import type { PreferenceBatch } from "../contracts/feedback.js";
import type { AlignmentExample, NamedLoss, Tuner, TuningSettings, TuningStep, TuningTask } from "../contracts/tuner.js";
import { logRatio } from "../feedback/log-ratio.js";
import { trainBpe } from "../language-model/bpe-training.js";
import { ChatMl, chatTokens } from "../language-model/chat.js";
import { LanguageModel } from "../language-model/model.js";
import { BpeTokenizer } from "../language-model/tokenizer.js";
import { createWeights } from "../language-model/weights.js";
import { createRng } from "../rng.js";
import { Parameters } from "../tensor/parameters.js";
import { identityChecks } from "./identity.js";
import { type Runner, type Subject, suite, withPlugin } from "./subject.js";

const genres = ["drama", "horror", "comedy", "crime"];
const messages = (genre: string) => [{ role: "user", content: `likes ${genre}` } as const];
const dialogues = genres.map((genre) => ({ messages: messages(genre), completion: `Genre: ${genre}` }));
const examples = genres.map((genre, i): AlignmentExample => {
  const text = (of: string, reward: number, ended = true) => ({ text: `Genre: ${of}`, ended, reward });
  return { messages: messages(genre), chosen: text(genre, 1), rejected: [text(genres[(i + 1) % 4] as string, 0, i % 2 === 0)] };
});

const beta = 0.1;
const dpo: NamedLoss = {
  plugin: "dpo",
  options: { beta, labelSmoothing: 0 },
  loss: {
    needs: ["reference"],
    beta,
    loss: ({ chosen, rejected }: PreferenceBatch) =>
      tf.softplus(tf.mul(-beta, tf.sub(logRatio(chosen), tf.squeeze(logRatio(rejected), [1])))) as tf.Tensor1D,
  },
};

const lora = { rank: 4, alpha: 8, dropout: 0, targets: ["q_proj", "v_proj", "o_proj", "down_proj"] };
const settings: TuningSettings = {
  epochs: 8,
  batchSize: 2,
  accumulate: 2,
  learningRate: 2e-2,
  weightDecay: 0,
  clip: 1,
  schedule: "cosine",
  rise: 0.2,
};
const steps = 8; // a step an epoch: 4 examples in 2 batches

/** A random decoder of two layers, the same each time. */
function smallPolicy(): { readonly policy: LanguageModel; dispose(): void } {
  const texts = examples.flatMap(({ chosen }) => [chosen.text, `user\n${chosen.text}`]);
  const tokenizer = new BpeTokenizer(trainBpe([...texts, ...texts], { vocabulary: 300, special: chatTokens }));
  const sizes = { hidden: 16, layers: 2, heads: 4, kvHeads: 2, headDim: 4, intermediate: 24, context: 128 };
  const form = { normEpsilon: 1e-5, rope: { theta: 10_000, scaling: null }, tiedHead: true, qkvBias: false, qkNorm: false };
  const config = { ...sizes, ...form, vocabulary: tokenizer.vocabulary };
  const parameters = new Parameters(createRng("contract policy"));
  const policy = new LanguageModel(config, createWeights(config, parameters), new ChatMl(tokenizer));
  const dispose = () => {
    policy.dispose();
    parameters.dispose();
  };
  return { policy, dispose };
}

/** Nats, of each example's chosen and rejected text. */
function logProbs(policy: LanguageModel): { readonly chosen: number; readonly margin: number } {
  const values = tf.tidy(() =>
    policy.logProbs(examples.map((example) => policy.tokenize(example.messages, [example.chosen, ...example.rejected]))).arraySync(),
  );
  const chosen = values.reduce((sum, [of = Number.NaN]) => sum + of, 0);
  return { chosen, margin: values.reduce((sum, [of = Number.NaN, other = Number.NaN]) => sum + of - other, 0) };
}

interface Tuned {
  readonly policy: LanguageModel;
  readonly told: TuningStep[];
  /** A task in the same folders each time, as after a kill. */
  task(changes?: Partial<TuningTask>): TuningTask;
}

export function tunerContract(subject: Subject<Tuner>, runner?: Runner): void {
  const using = (body: (tuner: Tuner, tuned: Tuned) => Promise<void>) => () =>
    withPlugin(subject, async (tuner) => {
      const shared = await fs.mkdtemp(join(tmpdir(), "rlrf-tuner-"));
      const folder = join(shared, "stage");
      await fs.mkdir(folder);
      const { policy, dispose } = smallPolicy();
      const told: TuningStep[] = [];
      const task = (changes: Partial<TuningTask> = {}) => {
        return {
          policy,
          lora,
          settings,
          seed: 1,
          key: "contract",
          folder,
          shared,
          onStep: (step: TuningStep) => void told.push(step),
          ...changes,
        };
      };
      try {
        await body(tuner, { policy, told, task });
      } finally {
        dispose();
        await fs.rm(shared, { recursive: true, force: true });
      }
    });
  const checks = {
    "makes the completions of the dialogues more likely, and tells of every step": using(async (tuner, { policy, told, task }) => {
      const before = logProbs(policy).chosen;
      await tuner.supervise(task(), dialogues);
      assert.ok(logProbs(policy).chosen > before + 4, `${before} -> ${logProbs(policy).chosen} nats`);
      inOrder(told);
      assert.ok((told.at(-1)?.loss as number) < (told[0]?.loss as number), "the loss falls");
    }),
    "prefers the chosen texts; the reference is the policy that it is given, adapter included": using(
      async (tuner, { policy, told, task }) => {
        await tuner.align(task(), examples, dpo);
        const { margin } = logProbs(policy);
        inOrder(told);
        assert.ok(told[0] !== undefined && Math.abs(told[0].loss - Math.LN2) < 1e-4, `at first the loss is ${told[0]?.loss}, not ln 2`);
        assert.ok((told.at(-1)?.accuracy as number) > 0.5 && (told.at(-1)?.margin as number) > 0);
        told.length = 0;
        const again = join(task().shared, "again");
        await fs.mkdir(again);
        await tuner.align(task({ folder: again }), examples, dpo);
        assert.ok(Math.abs((told[0]?.loss as number) - Math.LN2) < 1e-4, "tuned again, its reference is what the first tuning made");
        assert.ok(logProbs(policy).margin > margin, "and what that learnt is not lost");
      },
    ),
    "ends between two steps when it is told to, and goes on to the same end": using(async (tuner, { policy, told, task }) => {
      await tuner.align(task(), examples, dpo);
      const undisturbed = { adapter: await policy.adapter(), losses: told.map(({ loss }) => loss) };
      const kill = new AbortController();
      const folder = join(task().shared, "killed");
      await fs.mkdir(folder);
      policy.restore({}); // as a new process would find it
      const onStep = ({ step }: TuningStep) => step === 4 && kill.abort(new Error("killed"));
      await assert.rejects(tuner.align(task({ folder, onStep, signal: kill.signal }), examples, dpo), /killed/);
      policy.restore({});
      told.length = 0;
      await tuner.align(task({ folder }), examples, dpo);
      inOrder(told);
      near(told.map(({ loss }) => loss), undisturbed.losses); // biome-ignore format: one line
      for (const [name, { values }] of Object.entries(await policy.adapter()))
        near(values, (undisturbed.adapter[name] as { values: Float32Array }).values);
    }),
  };
  suite(subject, runner, checks, identityChecks(subject));
}

function inOrder(told: readonly TuningStep[]): void {
  assert.deepEqual(
    told.map(({ step }) => step),
    Array.from({ length: steps }, (_, step) => step),
  );
  for (const { loss, steps: of } of told) assert.ok(Number.isFinite(loss) && of === steps);
}

function near(values: ArrayLike<number>, expected: ArrayLike<number>): void {
  for (let i = 0; i < expected.length; i++)
    assert.ok(Math.abs((values[i] as number) - (expected[i] as number)) < 1e-5, `${values[i]} is not ${expected[i]}`);
}
