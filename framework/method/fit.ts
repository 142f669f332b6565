/** One training of one network: epochs of batches, stopped by valid users, the best state kept. */
import * as tf from "@tensorflow/tfjs-core";
import type { Progress } from "../contracts/plugin.js";
import type { FitOptions } from "../contracts/recommender.js";
import { RlrfError } from "../errors.js";
import { AdamW, type NamedArrays, valueAndGradients } from "../tensor/optimiser.js";
import type { Parameters } from "../tensor/parameters.js";
import { learningRateScale, type Schedule } from "../tensor/schedule.js";

/** How a fit went: the metric of the valid users after each epoch, and the epoch (from 1) whose state was kept. */
export interface FitReport {
  readonly epochs: number;
  readonly best: number;
  /** The best epoch's. */
  readonly metric: number;
  readonly history: readonly { readonly loss: number; readonly metric: number; readonly seconds: number }[];
}

export interface Fit<Batch> {
  /** What is trained, for progress and errors: "recommender", … */
  readonly label: string;
  readonly parameters: Parameters;
  readonly options: FitOptions;
  readonly schedule: Schedule;
  /** An epoch's batches, in an order of its own. */
  batches(epoch: number): readonly Batch[];
  /** Runs inside a tidy. */
  loss(batch: Batch): tf.Scalar;
  /** Higher is better; NaN when there is nothing to measure, and then every epoch is taken for better. */
  evaluate(): Promise<number>;
  readonly progress?: Progress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The loss or a gradient is not finite. The network holds its best state again; `lastGood` is that state. */
export class DivergedError extends RlrfError {
  constructor(
    message: string,
    where: string,
    readonly lastGood: NamedArrays,
  ) {
    const hint = "lower its learning rate; the state of the best epoch before is kept, in a run under diverged/ in its folder";
    super("RLRF_TRAIN_NAN", { message, where, hint });
  }
}

/** Global gradient norm at most: a guard against a rare bad batch, far above what ordinary steps have. */
const clip = 5;

/** Trains the parameters in place and leaves them at the best epoch's values. @throws RLRF_TRAIN_NAN, or the signal's reason */
export async function train<Batch>(task: Fit<Batch>): Promise<FitReport> {
  const { parameters, options } = task;
  const variables = [...parameters.all.values()];
  const optimiser = new AdamW(variables, { ...options, clip });
  const best = new Snapshot(variables);
  try {
    return await epochs(task, optimiser, variables, best);
  } finally {
    best.dispose();
    optimiser.dispose();
  }
}

async function epochs<Batch>(task: Fit<Batch>, optimiser: AdamW, variables: readonly tf.Variable[], best: Snapshot): Promise<FitReport> {
  const { options, label } = task;
  const history: FitReport["history"][number][] = [];
  let [bestEpoch, bestMetric] = [0, Number.NaN];
  const shown = task.progress?.start(label, options.epochs, "epochs");
  try {
    for (let epoch = 0; epoch < options.epochs && epoch - bestEpoch < options.patience; epoch++) {
      const begun = performance.now();
      const loss = await oneEpoch(task, optimiser, variables, best, epoch);
      const metric = await task.evaluate().catch((error: unknown) => {
        if (!(error instanceof RlrfError) || error.code !== "RLRF_METRIC_NAN") throw error;
        return diverged(task, best, "a score of the valid users is", `epoch ${epoch + 1}, after its last step`);
      });
      history.push({ loss, metric, seconds: (performance.now() - begun) / 1000 });
      if (!(metric <= bestMetric)) {
        [bestEpoch, bestMetric] = [epoch + 1, metric];
        best.take();
      }
      shown?.advance();
    }
  } finally {
    shown?.end();
  }
  best.putBack();
  return { epochs: history.length, best: bestEpoch, metric: bestMetric, history };
}

/** @returns the mean loss of the batches */
async function oneEpoch<Batch>(
  task: Fit<Batch>,
  optimiser: AdamW,
  variables: readonly tf.Variable[],
  best: Snapshot,
  epoch: number,
): Promise<number> {
  const batches = task.batches(epoch);
  let sum = 0;
  for (const [i, batch] of batches.entries()) {
    await breath(task.signal);
    const { value, gradients } = valueAndGradients(variables, () => task.loss(batch));
    const scale = learningRateScale(epoch * batches.length + i, task.options.epochs * batches.length, task.schedule, 0);
    const norm = Number.isFinite(value) ? optimiser.apply(gradients, scale) : Number.NaN;
    tf.dispose([...gradients]);
    if (!Number.isFinite(norm)) {
      const step = `epoch ${epoch + 1}, step ${epoch * batches.length + i + 1}`;
      await diverged(task, best, Number.isFinite(value) ? "the gradient is" : "the loss is", step);
    }
    sum += value;
  }
  return sum / batches.length;
}

async function diverged<Batch>({ label, parameters }: Fit<Batch>, best: Snapshot, what: string, when: string): Promise<never> {
  best.putBack();
  throw new DivergedError(`${what} not finite`, `${label}, ${when}`, await parameters.state());
}

/** Lets timers, signals and the terminal have their turn. @throws the signal's reason */
export async function breath(signal: AbortSignal | undefined): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  signal?.throwIfAborted();
}

/** The variables' values at a moment. Variables are assigned new tensors, never written into, so this copies nothing. */
class Snapshot {
  private values: tf.Tensor[] = [];

  constructor(private readonly variables: readonly tf.Variable[]) {
    this.take();
  }

  take(): void {
    tf.dispose(this.values);
    this.values = this.variables.map((variable) => tf.keep(tf.clone(variable)));
  }

  putBack(): void {
    for (const [i, variable] of this.variables.entries()) tf.tidy(() => variable.assign(tf.clone(this.values[i] as tf.Tensor)));
  }

  dispose(): void {
    tf.dispose(this.values);
  }
}
