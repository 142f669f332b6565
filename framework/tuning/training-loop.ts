/** The training loop that warm-up, alignment and tiny's own training share: batches by length, accumulation, AdamW, checkpoints. */
import * as tf from "@tensorflow/tfjs-core";
import type { TuningSettings } from "../contracts/tuner.js";
import { RlrfError } from "../errors.js";
import { createRng } from "../rng.js";
import { hashOf } from "../store/hash.js";
import { AdamW, type NamedArrays, valueAndGradients } from "../tensor/optimiser.js";
import { learningRateScale } from "../tensor/schedule.js";

/** What is trained: an adapter, or a whole decoder. */
export interface Trainee {
  variables(): readonly tf.Variable[];
  state(): Promise<NamedArrays>;
  restore(state: NamedArrays): void;
}

/** Plain numbers by name. */
export type Memory = Readonly<Record<string, number>> | null;

/** What is learnt, on examples 0 … count - 1. */
export interface Objective<Figures extends Record<string, number>> {
  readonly count: number;
  /** Tokens of an example: batches are made of examples of like length. */
  tokens(example: number): number;
  /** Examples of one group share computation, and are kept together; absent: each is its own. */
  group?(example: number): number;
  /** Only examples of the same shape meet in a batch (their number of completions). */
  shape(example: number): number;
  /**
   * The mean loss of a batch, on the tape.
   * @param seed draws what is random in this pass (dropout) @param report takes the batch's means, for the journal
   */
  loss(batch: readonly number[], seed: number, report: (figures: Figures) => void): tf.Scalar;
  /** What `loss` remembers from batch to batch, where it does; null = nothing yet. */
  state?(): Memory;
  restore?(state: Memory): void;
  /** Names the examples in checkpoints. */
  readonly fingerprint: unknown;
}

/** One optimiser step, as the journal gets it; `Figures` are the objective's own. */
export type TrainingStep<Figures> = Figures & {
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
  readonly gradNorm: number;
  readonly learningRate: number;
  readonly tokensPerSecond: number;
};

/** Everything that a killed training needs to go on with the same numbers: what is random is drawn from (seed, epoch, step). */
export interface TrainingState {
  /** Steps done. */
  readonly step: number;
  /** Of the training that it belongs to. */
  readonly fingerprint: string;
  readonly parameters: NamedArrays;
  readonly optimiser: NamedArrays;
  /** What the objective remembers. */
  readonly objective: Memory;
  /** Of all steps done. */
  readonly figures: readonly TrainingStep<Record<string, number>>[];
}
export interface Checkpoint {
  /** Steps between two states. */
  readonly every: number;
  load(): Promise<TrainingState | null>;
  save(state: TrainingState): Promise<void>;
}

export interface TrainingRun<Figures extends Record<string, number>> {
  readonly trainee: Trainee;
  readonly objective: Objective<Figures>;
  readonly settings: TuningSettings;
  readonly seed: number;
  /** Hears of every step in order, those before a kill included. */
  readonly onStep?: ((step: TrainingStep<Figures>) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly checkpoint?: Checkpoint | undefined;
  /** Names in checkpoints what else the numbers follow from, besides examples, settings and seed: the loss, the weights, the engine. */
  readonly key?: string | undefined;
}

/** Optimiser steps of a whole training. */
export function trainingSteps(objective: Pick<Objective<never>, "count" | "shape">, settings: TuningSettings): number {
  const shapes = groupsBy(examplesOf(objective), (example) => objective.shape(example));
  const batches = shapes.reduce((sum, { length }) => sum + Math.ceil(length / settings.batchSize), 0);
  return settings.epochs * Math.ceil(batches / settings.accumulate);
}

/**
 * Trains to the end, or goes on from the last checkpoint to the same end; one of another training counts for nothing.
 * @throws RLRF_ALIGN_EMPTY, and RLRF_ALIGN_NAN before a step that is not finite changes anything
 */
export async function train<Figures extends Record<string, number>>(run: TrainingRun<Figures>): Promise<{ readonly steps: number }> {
  const { trainee, objective, settings, seed, onStep, signal, checkpoint, key } = run;
  if (objective.count === 0) {
    throw new RlrfError("RLRF_ALIGN_EMPTY", {
      message: "there are no examples to tune on",
      hint: "look at the counts of dropped users in the run's journal",
    });
  }
  const steps = trainingSteps(objective, settings);
  const fingerprint = hashOf({ key, examples: objective.fingerprint, settings, seed });
  const optimiser = new AdamW(trainee.variables(), settings);
  const told: TrainingStep<Figures>[] = [];
  const tell = (figures: TrainingStep<Figures>) => {
    told.push(figures);
    onStep?.(figures);
  };
  const stateAt = async (step: number): Promise<TrainingState> => {
    const [parameters, moments] = [await trainee.state(), await optimiser.state()];
    return { step, fingerprint, parameters, optimiser: moments, objective: objective.state?.() ?? null, figures: told };
  };
  try {
    const found = await checkpoint?.load();
    const saved = found?.fingerprint === fingerprint ? found : null;
    if (saved !== null) {
      trainee.restore(saved.parameters);
      optimiser.restore(saved.optimiser);
    }
    objective.restore?.(saved?.objective ?? null);
    for (const figures of saved?.figures ?? []) tell(figures as TrainingStep<Figures>); // of this objective, as the fingerprint says
    const perEpoch = steps / settings.epochs;
    let batches: readonly (readonly number[])[] = [];
    for (let step = saved?.step ?? 0; step < steps; step++) {
      const from = (step % perEpoch) * settings.accumulate;
      if (from === 0 || batches.length === 0) batches = batchesOf(objective, settings.batchSize, seed, Math.floor(step / perEpoch));
      const own = batches.slice(from, from + settings.accumulate);
      const before = step === steps - 1 ? await stateAt(step) : null;
      const remembered = objective.state?.() ?? null;
      try {
        const figures = oneStep(run, optimiser, own, step, steps);
        if (before !== null) mustStayFinite(run, own, step);
        tell(figures);
      } catch (error) {
        if (!(error instanceof RlrfError) || error.code !== "RLRF_ALIGN_NAN") throw error;
        if (before !== null) trainee.restore(before.parameters);
        objective.restore?.(remembered);
        await checkpoint?.save(before ?? (await stateAt(step)));
        throw error;
      }
      await new Promise((resolve) => setImmediate(resolve)); // let signals and timers in: a step is synchronous
      const done = step + 1;
      const aborted = signal?.aborted === true;
      if (checkpoint !== undefined && (aborted || (done < steps && done % checkpoint.every === 0)))
        await checkpoint.save(await stateAt(done));
      signal?.throwIfAborted();
    }
  } finally {
    optimiser.dispose();
  }
  return { steps };
}

function oneStep<Figures extends Record<string, number>>(
  { trainee, objective, settings, seed }: TrainingRun<Figures>,
  optimiser: AdamW,
  batches: readonly (readonly number[])[],
  step: number,
  steps: number,
): TrainingStep<Figures> {
  const begun = performance.now();
  const examples = batches.flat();
  const gradients = new GradientSum();
  const means = new WeightedMeans();
  try {
    batches.forEach((batch, index) => {
      const share = batch.length / examples.length;
      const pass = createRng(seed, "pass", step, index).seed();
      const { value, gradients: own } = valueAndGradients(trainee.variables(), () =>
        objective.loss(batch, pass, (figures) => means.add(figures, share)),
      );
      gradients.add(own, share);
      means.add({ loss: value }, share);
    });
    const scale = learningRateScale(step, steps, settings.schedule, settings.rise);
    const { loss, ...figures } = means.values;
    if (!Number.isFinite(loss)) throw diverged(step, "loss", settings);
    const gradNorm = optimiser.apply(gradients.sum, scale);
    if (!Number.isFinite(gradNorm)) throw diverged(step, "gradient", settings);
    const tokens = examples.reduce((sum, example) => sum + objective.tokens(example), 0);
    const tokensPerSecond = (1000 * tokens) / (performance.now() - begun);
    return {
      ...(figures as Figures),
      step,
      steps,
      loss: loss as number,
      gradNorm,
      learningRate: settings.learningRate * scale,
      tokensPerSecond,
    };
  } finally {
    gradients.dispose();
  }
}

const afterStep = "loss after it";

/** After the last step no other one would notice that it went too far. */
function mustStayFinite<Figures extends Record<string, number>>(
  { objective, settings, seed }: TrainingRun<Figures>,
  batches: readonly (readonly number[])[],
  step: number,
): void {
  const [loss] = tf.tidy(() => objective.loss(batches[0] ?? [], seed, () => {}).dataSync());
  if (!Number.isFinite(loss)) throw diverged(step, afterStep, settings);
}

function diverged(step: number, what: string, settings: TuningSettings): RlrfError {
  const slower = `lower the learning rate (${settings.learningRate})${settings.clip === 0 ? ", or clip the gradients" : ""}`;
  // Before the first update the learning rate has had no part in it.
  const untouched = step === 0 && what !== afterStep;
  return new RlrfError("RLRF_ALIGN_NAN", {
    message: `tuning diverged: the ${what} is not a finite number`,
    where: `step ${step}`,
    hint: untouched
      ? "nothing was changed yet, so it is the loss or the model: look at loss.options"
      : `the state before this step was kept; ${slower}`,
  });
}

/**
 * An epoch's batches: shuffled, yet of like length and equal shape, a group's examples side by side. Drawn from (seed, epoch) alone.
 * Lengths are sorted only within windows of some batches, so that every epoch mixes examples anew.
 */
function batchesOf(
  objective: Pick<Objective<never>, "count" | "shape" | "tokens" | "group">,
  size: number,
  seed: number,
  epoch: number,
): readonly (readonly number[])[] {
  const rng = createRng(seed, "order", epoch);
  const groups = rng.shuffle(groupsBy(examplesOf(objective), (example) => objective.group?.(example) ?? example));
  const tokens = new Map<number, number>();
  for (const group of groups) {
    const size = group.reduce((sum, example) => sum + objective.tokens(example), 0);
    for (const example of group) tokens.set(example, size);
  }
  const tokensOf = (example: number) => tokens.get(example) as number;
  const shapes = groupsBy(groups.flat(), (example) => objective.shape(example));
  const window = 16 * size;
  const batches: number[][] = [];
  for (const examples of shapes) {
    for (let from = 0; from < examples.length; from += window) {
      const sorted = examples.slice(from, from + window).sort((a, b) => tokensOf(a) - tokensOf(b));
      for (let at = 0; at < sorted.length; at += size) batches.push(sorted.slice(at, at + size));
    }
  }
  return rng.shuffle(batches);
}

function examplesOf({ count }: Pick<Objective<never>, "count">): number[] {
  return Array.from({ length: count }, (_, example) => example);
}

/** In the order of their first ones, each in the order given. */
function groupsBy(examples: readonly number[], keyOf: (example: number) => number): number[][] {
  const groups = new Map<number, number[]>();
  for (const example of examples) {
    const key = keyOf(example);
    const same = groups.get(key);
    if (same === undefined) groups.set(key, [example]);
    else same.push(example);
  }
  return [...groups.values()];
}

/** The weighted sum of some batches' gradients; owns what it is given. */
class GradientSum {
  private total: readonly tf.Tensor[] = [];

  get sum(): readonly tf.Tensor[] {
    return this.total;
  }

  add(gradients: readonly tf.Tensor[], weight: number): void {
    if (weight === 1) {
      this.total = gradients; // the only batch of its step
      return;
    }
    const before = this.total;
    this.total = gradients.map((gradient, i) =>
      tf.tidy(() => {
        const weighted = tf.mul(gradient, weight);
        return before[i] === undefined ? weighted : tf.add(before[i], weighted);
      }),
    );
    tf.dispose([...before, ...gradients]);
  }

  dispose(): void {
    tf.dispose([...this.total]);
    this.total = [];
  }
}

class WeightedMeans {
  readonly values: Record<string, number> = {};
  add(figures: Record<string, number>, weight: number): void {
    for (const [name, value] of Object.entries(figures)) this.values[name] = (this.values[name] ?? 0) + weight * value;
  }
}
