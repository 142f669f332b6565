import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { LossNeed, PreferenceBatch, PreferenceLoss } from "../../../framework/contracts/feedback.js";
import type { LoraOptions, TokenizedExample, TunablePolicy } from "../../../framework/contracts/llm.js";
import type { AlignmentExample, TuningSettings, TuningStep } from "../../../framework/contracts/tuner.js";
import { RlrfError } from "../../../framework/errors.js";
import type { LocalTuning } from "../../../framework/tuning/local-tuning.js";
import { tuneOnPreferences } from "../../../framework/tuning/preference.js";
import type { Checkpoint, TrainingState } from "../../../framework/tuning/training-loop.js";
import { Dpo } from "../../../plugins/losses/dpo.js";
import { allProjections, testModel } from "../../support/decoder.js";
import { assertNoLeak, useEngine } from "../../support/engine.js";
import { close } from "../../support/tensors.js";

const lora = { rank: 2, alpha: 4, dropout: 0, targets: allProjections };
const alignment = {
  epochs: 2,
  batchSize: 2,
  accumulate: 1,
  learningRate: 1e-2,
  weightDecay: 0,
  clip: 1,
  schedule: "constant",
  rise: 0,
  lora,
} as const;
const dpo = new Dpo({ beta: 0.1, labelSmoothing: 0 });

const text = (content: string, reward = 0, ended = true) => ({ text: content, ended, reward });
const example = (prompt: string, chosen: string, ...rejected: string[]): AlignmentExample => ({
  messages: [{ role: "user", content: prompt }],
  chosen: text(chosen, 1),
  rejected: rejected.map((content, i) => text(content, -1 - i)),
});
const pairs = [
  example("likes drama", "Drama", "Horror"),
  example("likes horror, a lot", "Horror", "Drama, Comedy"),
  example("comedy", "Comedy", "x"),
  example("drama and comedy", "Comedy, Drama", "Avoids: Drama"),
  example("none", "Genre: none", "y z"),
];

interface Changes extends Partial<Omit<LocalTuning, "settings">> {
  readonly examples?: readonly AlignmentExample[];
  readonly loss?: PreferenceLoss;
  readonly alignment?: TuningSettings & { readonly lora: LoraOptions };
}
async function stepsOf(policy: TunablePolicy, { examples = pairs, loss = dpo, alignment: of = alignment, ...changes }: Changes = {}) {
  const steps: TuningStep[] = [];
  const { lora: own, ...settings } = of;
  const onStep = (step: TuningStep) => void steps.push(step);
  await tuneOnPreferences({ policy, lora: own, settings, seed: 1, onStep, ...changes }, examples, loss);
  return steps;
}

/** A loss that keeps what the runner gave it. */
class Recorder implements PreferenceLoss {
  readonly seen: Record<string, number[] | undefined>[] = [];
  constructor(readonly needs: readonly LossNeed[]) {}
  loss({ chosen, rejected, mismatched }: PreferenceBatch): tf.Tensor1D {
    const values = (tensor: tf.Tensor | undefined) => (tensor === undefined ? undefined : [...tensor.dataSync()]);
    this.seen.push({
      shape: rejected.logProbs.shape,
      lengths: values(chosen.lengths),
      rejectedLengths: values(rejected.lengths),
      rewards: values(chosen.rewards),
      rejectedRewards: values(rejected.rewards),
      reference: values(chosen.reference),
      rejectedReference: values(rejected.reference),
      logProbs: values(chosen.logProbs),
      rejectedLogProbs: values(rejected.logProbs),
      mismatched: values(mismatched?.logProbs),
    });
    return tf.neg(chosen.logProbs);
  }
}

/** Hears what is asked of a policy. @returns what it is asked, as it comes */
function overheard(policy: TunablePolicy): (readonly TokenizedExample[])[] {
  const asked: (readonly TokenizedExample[])[] = [];
  const answer = policy.logProbs.bind(policy);
  policy.logProbs = (rows, seed) => {
    asked.push(rows);
    return answer(rows, seed);
  };
  return asked;
}

describe("alignment", () => {
  useEngine();

  it("starts at ln 2, where policy and reference cancel, and raises the margin", () =>
    assertNoLeak(async () => {
      const { model, dispose } = testModel();
      const steps = await stepsOf(model, { alignment: { ...alignment, epochs: 20 } });
      const [first, last] = [steps[0] as TuningStep, steps.at(-1) as TuningStep];
      close([first.loss, first.margin as number, first.chosenReward as number], [Math.LN2, 0, 0], 1e-5);
      assert.equal(steps.length, 60);
      assert.deepEqual([last.step, last.steps], [59, 60]);
      assert.ok(last.loss < 0.45 && (last.margin as number) > 0.5 && last.accuracy === 1, JSON.stringify(last));
      assert.ok((first.gradNorm as number) > 0 && first.learningRate === 0.01 && (first.tokensPerSecond as number) > 0);
      dispose();
    }));

  it("brings the loss's gradient to the adapter: finite differences through the runner", async () => {
    const { model, dispose } = testModel({ layers: 1 });
    const small = { ...alignment, lora: { ...lora, rank: 1, targets: ["q_proj", "v_proj"] } };
    const logistic: PreferenceLoss = {
      needs: [],
      loss: ({ chosen, rejected }) => tf.softplus(tf.sub(tf.reshape(rejected.logProbs, [-1]), chosen.logProbs)) as tf.Tensor1D,
    };
    await stepsOf(model, { alignment: small, loss: logistic }); // off the point where B = 0
    const start = await model.adapter();
    const at = async (state: typeof start): Promise<TuningStep> => {
      model.restore(state);
      const once = { ...small, epochs: 1, batchSize: 5, learningRate: 0 };
      return (await stepsOf(model, { alignment: once, loss: logistic }))[0] as TuningStep;
    };
    const gradNorm = (await at(start)).gradNorm as number;
    let square = 0;
    for (const [name, { shape, values }] of Object.entries(start)) {
      for (const index of values.keys()) {
        const moved = (by: number) => ({
          ...start,
          [name]: { shape, values: values.map((value, i) => (i === index ? value + by : value)) },
        });
        square += (((await at(moved(0.01))).loss - (await at(moved(-0.01))).loss) / 0.02) ** 2;
      }
    }
    close([Math.sqrt(square)], [gradNorm], 0.02 * gradNorm);
    dispose();
  });

  it("computes what the loss needs, and nothing else", async () => {
    const { model, dispose } = testModel();
    const three = [example("a", "xx", "y", "zzz"), example("b", "x", "yy", "z")];
    const once = { ...alignment, epochs: 1 };
    const all = new Recorder(["reference", "lengths", "rewards", "listwise", "mismatched"]);
    await stepsOf(model, { examples: three, loss: all, alignment: once });
    const seen = all.seen[0] as Record<string, number[]>;
    assert.deepEqual(seen.shape, [2, 2]);
    assert.deepEqual(seen.reference, seen.logProbs);
    assert.deepEqual([...(seen.lengths as number[])].sort(), [2, 3]); // with the end token
    assert.deepEqual(seen.rewards, [1, 1]);
    assert.deepEqual(seen.rejectedRewards, [-1, -2, -1, -2]);
    assert.equal(seen.mismatched?.length, 2);
    const none = new Recorder([]);
    await stepsOf(model, { examples: three, loss: none, alignment: once });
    assert.deepEqual(Object.entries(none.seen[0] ?? {}).flatMap(([name, value]) => (value === undefined ? [] : [name])), ["shape", "logProbs", "rejectedLogProbs"]); // biome-ignore format: one line
    dispose();
  });

  it("groups examples by their number of rejected texts; without one, only the chosen text is told of", async () => {
    const { model, dispose } = testModel();
    const recorder = new Recorder([]);
    const mixed = [example("a", "x"), example("b", "y", "z"), example("c", "w"), example("d", "v", "u", "t")];
    const steps = await stepsOf(model, { examples: mixed, loss: recorder, alignment: { ...alignment, epochs: 1 } });
    const trained = recorder.seen.slice(0, steps.length); // after them comes a look at the loss that the last step left
    assert.deepEqual(trained.map(({ shape }) => shape).sort(), [[1, 1], [1, 2], [2, 0]]); // biome-ignore format: one line
    assert.ok(steps.some((step) => step.margin === undefined && Number.isFinite(step.chosenReward)));
    dispose();
  });

  it("the mismatched text is another prompt's", async () => {
    const { model, dispose } = testModel();
    const recorder = new Recorder(["mismatched"]);
    const examples = [example("a", "x", "q"), example("b", "y", "q"), example("c", "z", "q")];
    await stepsOf(model, { examples, loss: recorder, alignment: { ...alignment, epochs: 1, batchSize: 3, learningRate: 0 } });
    const expected = tf.tidy(() =>
      examples.map(
        ({ messages }, i) =>
          model.logProbs([model.tokenize(messages, [(examples[(i + 1) % 3] as AlignmentExample).chosen])]).dataSync()[0] as number,
      ),
    );
    close([...(recorder.seen[0]?.mismatched ?? [])].sort(), expected.sort(), 1e-4);
    dispose();
  });

  it("the mismatched text is of another prompt, though several examples share one", async () => {
    const { model, dispose } = testModel();
    const recorder = new Recorder(["mismatched"]);
    const examples = [example("a", "x", "q"), example("a", "y", "q"), example("b", "z", "q")];
    await stepsOf(model, { examples, loss: recorder, alignment: { ...alignment, epochs: 1, batchSize: 3, learningRate: 0 } });
    const expected = tf.tidy(() =>
      [
        ["a", "z"],
        ["a", "z"],
        ["b", "x"],
      ].map(
        ([prompt = "", content = ""]) =>
          model.logProbs([model.tokenize([{ role: "user", content: prompt }], [text(content)])]).dataSync()[0] as number,
      ),
    );
    close([...(recorder.seen[0]?.mismatched ?? [])].sort(), expected.sort(), 1e-4);
    dispose();
  });

  it("computes a prompt once for all examples of a batch that ask it, and a text of it once", async () => {
    const { model, dispose } = testModel();
    const asked = overheard(model);
    const recorder = new Recorder(["reference", "lengths"]);
    const examples = [example("a", "x", "yy"), example("b", "z", "x"), example("a", "x", "zzz"), example("a", "yy", "q")];
    await stepsOf(model, { examples, loss: recorder, alignment: { ...alignment, epochs: 1, batchSize: 4, learningRate: 0 } });
    const [, , trained] = asked; // after the reference, in batches of as many texts a prompt
    const texts = trained?.map(({ completions }) => completions.map(({ length }) => length));
    assert.deepEqual(texts?.sort(([a = 0], [b = 0]) => a - b), [[2, 2, 0, 0], [2, 3, 4, 2]], "x, yy, zzz, q of a; z, x of b"); // biome-ignore format: one line
    const alone = tf.tidy(() =>
      examples.map(({ messages, chosen, rejected }) => [...model.logProbs([model.tokenize(messages, [chosen, ...rejected])]).dataSync()]),
    );
    const seen = (chosen: string, rejected: string) => {
      const { [chosen]: of = [], [rejected]: against = [] } = recorder.seen[0] ?? {};
      return of.map((value, i) => [value, against[i] as number]);
    };
    const sorted = (pairs: number[][]) => pairs.sort(([a = 0, b = 0], [c = 0, d = 0]) => a - c || b - d).flat();
    close(sorted(seen("logProbs", "rejectedLogProbs")), sorted(alone), 1e-4);
    close(sorted(seen("reference", "rejectedReference")), sorted(alone), 1e-4);
    dispose();
  });

  it("tunes to the same adapter as where no prompt is shared", async () => {
    const examples = [example("a", "x", "yy"), example("b", "z", "x"), example("a", "x", "zzz"), example("a", "yy", "q")];
    const final = async (apart: boolean) => {
      const { model, dispose } = testModel();
      const answer = model.logProbs.bind(model);
      /** Every text in a row of its own. */
      const inRows: TunablePolicy["logProbs"] = (rows, seed) => {
        const single = rows.flatMap(({ prompt, completions }) => completions.map((completion) => ({ prompt, completions: [completion] })));
        return tf.reshape(answer(single, seed), [rows.length, -1]);
      };
      if (apart) model.logProbs = inRows;
      await stepsOf(model, { examples, alignment: { ...alignment, epochs: 3, batchSize: 4 } });
      const state = await model.adapter();
      dispose();
      return Object.values(state).flatMap(({ values }) => [...values]);
    };
    close(await final(false), await final(true), 1e-4);
  });

  it("keeps the examples of a prompt in one batch, whichever the epoch", async () => {
    const { model, dispose } = testModel();
    const asked = overheard(model);
    const examples = ["a", "b", "c"].flatMap((prompt) => [
      example(prompt, "x", "y"),
      example(prompt, "x", "zzzz"),
      example(prompt, "w", "z"),
    ]);
    const order = [0, 3, 6, 1, 4, 7, 2, 5, 8].map((i) => examples[i] as AlignmentExample);
    const steps = await stepsOf(model, { examples: order, loss: new Recorder([]), alignment: { ...alignment, epochs: 4, batchSize: 3 } });
    assert.equal(steps.length, 12);
    const prompts = asked.slice(0, 12).map((rows) => rows.map(({ prompt }) => prompt.join()));
    assert.ok(prompts.every((rows) => rows.length === 1));
    for (let epoch = 0; epoch < 4; epoch++) assert.equal(new Set(prompts.slice(3 * epoch, 3 * epoch + 3).flat()).size, 3);
    dispose();
  });

  it("a cut text has no end token in its log-prob", () => {
    const { model, dispose } = testModel();
    const [ended, cut] = model.tokenize([{ role: "user", content: "a" }], [text("Drama"), text("Drama", 0, false)]).completions;
    assert.deepEqual([...(cut ?? [])], [...(ended ?? [])].slice(0, -1));
    assert.ok(model.codec.endTokens.has(ended?.at(-1) as number));
    dispose();
  });

  it("adds the gradients of several batches as one of their size would", async () => {
    const final = async (batchSize: number, accumulate: number) => {
      const { model, dispose } = testModel();
      const steps = await stepsOf(model, { alignment: { ...alignment, epochs: 1, batchSize, accumulate }, examples: pairs.slice(0, 4) });
      const state = await model.adapter();
      dispose();
      return { steps, state };
    };
    const [whole, parts] = [await final(4, 1), await final(1, 4)];
    assert.equal(parts.steps.length, 1);
    close(
      [parts.steps[0]?.loss as number, parts.steps[0]?.gradNorm as number],
      [whole.steps[0]?.loss as number, whole.steps[0]?.gradNorm as number],
      1e-4,
    );
  });

  it("a killed run goes on from its checkpoint to the same numbers, bit for bit", () =>
    assertNoLeak(async () => {
      const settings = { ...alignment, epochs: 4, schedule: "cosine", rise: 0.2, lora: { ...lora, dropout: 0.1 } } as const;
      const whole = testModel();
      const uninterrupted = await stepsOf(whole.model, { alignment: settings });
      const expected = await whole.model.adapter();
      whole.dispose();

      let saved: TrainingState | null = null;
      const save = async (state: TrainingState) => {
        saved = state;
      };
      const checkpoint: Checkpoint = { every: 2, load: async () => saved, save };
      const killed = testModel();
      const kill = new AbortController();
      // A signal arrives between two steps: a step itself holds up everything else.
      const onStep = ({ step }: TuningStep) => step === 4 && setImmediate(() => kill.abort(new Error("killed")));
      await assert.rejects(stepsOf(killed.model, { alignment: settings, checkpoint, signal: kill.signal, onStep }), /killed/);
      killed.dispose();
      assert.equal((saved as TrainingState | null)?.step, 5, "an abort saves what was done");

      const resumed = testModel(); // a new process: the weights, no adapter
      const rest = await stepsOf(resumed.model, { alignment: settings, checkpoint });
      assert.deepEqual(await resumed.model.adapter(), expected);
      const numbers = ({ tokensPerSecond: _, ...figures }: TuningStep) => figures;
      assert.deepEqual(rest.map(numbers), uninterrupted.map(numbers));
      resumed.dispose();
    }));

  it("is not computed again where the signal comes after its last step", async () => {
    const { model, dispose } = testModel();
    let saved: TrainingState | null = null;
    const save = async (state: TrainingState) => {
      saved = state;
    };
    const checkpoint: Checkpoint = { every: 100, load: async () => saved, save };
    const kill = new AbortController();
    const onStep = ({ step, steps }: TuningStep) => step === steps - 1 && setImmediate(() => kill.abort(new Error("killed")));
    await assert.rejects(stepsOf(model, { checkpoint, signal: kill.signal, onStep }), /killed/);
    const tuned = await model.adapter();
    model.restore({});
    const unwilling: PreferenceLoss = { ...dpo, needs: dpo.needs, loss: () => assert.fail("every step is done") };
    assert.equal((await stepsOf(model, { checkpoint, loss: unwilling })).length, 6);
    assert.deepEqual(await model.adapter(), tuned);
    dispose();
  });

  it("begins anew where the checkpoint is of other examples, or of another tuning by its key", () =>
    assertNoLeak(async () => {
      const tuned = async (changes: Changes) => {
        const { model, dispose } = testModel();
        const steps = await stepsOf(model, changes);
        const adapter = await model.adapter();
        dispose();
        return { adapter, steps: steps.map(({ step }) => step) };
      };
      let saved: TrainingState | null = null;
      const save = async (state: TrainingState) => {
        saved = state;
      };
      await tuned({ key: "before", checkpoint: { every: 2, load: async () => null, save } });
      const checkpoint: Checkpoint = { every: 100, load: async () => saved, save: async () => assert.fail("nothing is to be saved") };
      const mended = { key: "after", loss: new Dpo({ beta: 1, labelSmoothing: 0 }) };
      assert.deepEqual(await tuned({ ...mended, checkpoint }), await tuned(mended));
      const others = { key: "before", examples: pairs.slice(1) };
      assert.deepEqual(await tuned({ ...others, checkpoint }), await tuned(others));
    }));

  it("stops at a loss that is not finite, names the step, and keeps the last good adapter", () =>
    assertNoLeak(async () => {
      const { model, dispose } = testModel();
      let calls = 0;
      const exploding: PreferenceLoss = {
        needs: [],
        loss: ({ chosen }) => tf.mul(chosen.logProbs, ++calls > 3 ? Number.NaN : -1) as tf.Tensor1D,
      };
      let good: Promise<unknown> | undefined;
      const onStep = () => {
        good = model.adapter();
      };
      await assert.rejects(stepsOf(model, { loss: exploding, onStep }), (error) => {
        assert.ok(error instanceof RlrfError && error.code === "RLRF_ALIGN_NAN");
        assert.match(error.message, /step 3/);
        return true;
      });
      assert.deepEqual(await model.adapter(), await good);
      dispose();
    }));

  it("blames the loss, not the learning rate, before the first step", () =>
    assertNoLeak(async () => {
      const { model, dispose } = testModel();
      const loss: PreferenceLoss = { needs: [], loss: ({ chosen }) => tf.mul(chosen.logProbs, 1e38) as tf.Tensor1D };
      await assert.rejects(stepsOf(model, { loss }), (error) => {
        assert.match((error as RlrfError).message, /^RLRF_ALIGN_NAN: [\s\S]*step 0\n.*loss\.options/);
        return !(error as RlrfError).message.includes("learning rate");
      });
      dispose();
    }));

  it("notices that its very last step went too far, and hands over the state before it", () =>
    assertNoLeak(async () => {
      const { model, dispose } = testModel();
      const steps = 6; // 2 epochs of 3 batches
      let calls = 0;
      const exploding: PreferenceLoss = {
        needs: [],
        loss: ({ chosen }) => tf.mul(chosen.logProbs, ++calls > steps ? Number.NaN : -1) as tf.Tensor1D,
      };
      let kept: TrainingState | null = null;
      const save = async (state: TrainingState) => {
        kept = state;
      };
      let good: Promise<unknown> | undefined;
      const onStep = () => {
        good = model.adapter();
      };
      const checkpoint: Checkpoint = { every: 100, load: async () => null, save };
      await assert.rejects(stepsOf(model, { loss: exploding, onStep, checkpoint }), /RLRF_ALIGN_NAN[\s\S]*step 5/);
      assert.equal(calls, steps + 1);
      assert.deepEqual(await model.adapter(), await good);
      assert.equal((kept as TrainingState | null)?.step, steps - 1);
      assert.deepEqual((kept as TrainingState | null)?.parameters, await good);
      dispose();
    }));

  it("refuses to tune on nothing", async () => {
    const { model, dispose } = testModel();
    await assert.rejects(stepsOf(model, { examples: [] }), code("RLRF_ALIGN_EMPTY"));
    dispose();
  });
});

function code(expected: string) {
  return (error: unknown) => error instanceof RlrfError && error.code === expected;
}
