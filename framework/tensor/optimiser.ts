import * as tf from "@tensorflow/tfjs-core";

export interface AdamWOptions {
  readonly learningRate: number;
  readonly weightDecay: number;
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  /** Global gradient norm at most; absent or 0 = off. */
  readonly clip?: number;
}

export type NamedArrays = Readonly<Record<string, { readonly shape: readonly number[]; readonly values: Float32Array }>>;

/**
 * AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101, algorithm 2) on one flat vector of all parameters: an op costs about 10 us
 * however small its input, so a dozen ops a step in all are far cheaper than that many for each variable.
 */
export class AdamW {
  private readonly sizes: readonly number[];
  private readonly total: number;
  private steps = 0;
  private first: tf.Tensor1D;
  private second: tf.Tensor1D;
  /** The parameters as one vector; valid while the variables still hold the data that the last step gave them. */
  private flat: tf.Tensor1D | undefined;
  private held: readonly object[] = [];

  constructor(
    private readonly variables: readonly tf.Variable[],
    private readonly options: AdamWOptions,
  ) {
    this.sizes = variables.map((variable) => variable.size);
    this.total = this.sizes.reduce((sum, size) => sum + size, 0);
    this.first = tf.keep(tf.zeros<tf.Rank.R1>([this.total]));
    this.second = tf.keep(tf.zeros<tf.Rank.R1>([this.total]));
  }

  /**
   * One step.
   * @param gradients in the variables' order (not disposed)
   * @param scale multiplies the learning rate
   * @returns the global gradient norm before clipping; when it is not finite nothing was changed
   */
  apply(gradients: readonly tf.Tensor[], scale = 1): number {
    if (gradients.length !== this.variables.length) throw new Error(`${gradients.length} gradients for ${this.variables.length} variables`);
    let norm = Number.NaN;
    const moved = tf.tidy(() => {
      const gradient = join(gradients);
      const square = tf.square(gradient);
      norm = Math.sqrt(tf.sum(square).dataSync()[0] ?? Number.NaN);
      return Number.isFinite(norm) ? this.step(gradient, square, norm, scale) : [];
    });
    const [first, second, flat] = moved;
    if (!(first && second && flat)) return norm;
    tf.dispose([this.first, this.second, ...(this.flat ? [this.flat] : [])]);
    this.first = tf.keep(first);
    this.second = tf.keep(second);
    this.flat = tf.keep(flat);
    this.assign(flat);
    return norm;
  }

  /** @returns first moment, second moment, parameters */
  private step(gradient: tf.Tensor1D, square: tf.Tensor1D, norm: number, scale: number): tf.Tensor1D[] {
    const { learningRate, weightDecay, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, clip = 0 } = this.options;
    const shrink = clip > 0 && norm > clip ? clip / norm : 1;
    const clipped = shrink < 1 ? tf.mul(gradient, shrink) : gradient;
    const clippedSquare = shrink < 1 ? tf.mul(square, shrink * shrink) : square;
    this.steps++;
    // The moments are kept without their factors 1 - β, and so are m̂ / (√v̂ + ε)'s bias corrections: each would be a pass over the vector.
    const first = tf.add(tf.mul(this.first, beta1), clipped) as tf.Tensor1D;
    const second = tf.add(tf.mul(this.second, beta2), clippedSquare) as tf.Tensor1D;
    const deviation = Math.sqrt((1 - beta2 ** this.steps) / (1 - beta2));
    const rate = learningRate * scale;
    const direction = tf.div(first, tf.add(tf.sqrt(second), epsilon * deviation));
    const update = tf.mul(direction, (rate * deviation * (1 - beta1)) / (1 - beta1 ** this.steps));
    const kept = weightDecay === 0 ? this.parameters() : tf.mul(this.parameters(), 1 - rate * weightDecay);
    return [first, second, tf.sub(kept, update) as tf.Tensor1D];
  }

  /** Someone may have assigned to the variables since the last step (a restored state): then the vector is made anew. */
  private parameters(): tf.Tensor1D {
    const untouched = this.flat && this.variables.every((variable, i) => variable.dataId === this.held[i]);
    return untouched && this.flat ? this.flat : join(this.variables);
  }

  private assign(flat: tf.Tensor1D): void {
    tf.tidy(() => {
      const parts = this.variables.length === 1 ? [flat] : tf.split(flat, [...this.sizes]);
      for (const [i, variable] of this.variables.entries()) variable.assign(tf.reshape(parts[i] as tf.Tensor, variable.shape));
    });
    this.held = this.variables.map((variable) => variable.dataId);
  }

  async state(): Promise<NamedArrays> {
    const [first, second] = await Promise.all([this.first.data<"float32">(), this.second.data<"float32">()]);
    return {
      step: { shape: [1], values: Float32Array.of(this.steps) },
      first: { shape: [this.total], values: first },
      second: { shape: [this.total], values: second },
    };
  }

  restore(state: NamedArrays): void {
    const { step, first, second } = state;
    if (step?.values.length !== 1 || first?.values.length !== this.total || second?.values.length !== this.total)
      throw new Error(`not the optimiser state of ${this.total} parameters`);
    this.steps = step.values[0] as number; // its length is 1
    tf.dispose([this.first, this.second]);
    this.first = tf.keep(tf.tensor1d(first.values));
    this.second = tf.keep(tf.tensor1d(second.values));
  }

  /** Frees the moments; the variables belong to whoever made them. */
  dispose(): void {
    tf.dispose([this.first, this.second, ...(this.flat ? [this.flat] : [])]);
    this.flat = undefined;
  }
}

function join(tensors: readonly tf.Tensor[]): tf.Tensor1D {
  return tf.concat1d(tensors.map((tensor) => tf.reshape(tensor, [tensor.size]) as tf.Tensor1D));
}

/**
 * A scalar's value and its gradient for each variable, in the variables' order; zeros where the scalar does not depend on one.
 * The caller disposes the gradients.
 */
export function valueAndGradients(
  variables: readonly tf.Variable[],
  compute: () => tf.Scalar,
): { readonly value: number; readonly gradients: readonly tf.Tensor[] } {
  const { value, grads } = tf.variableGrads(compute, [...variables]);
  const number = value.dataSync()[0] ?? Number.NaN;
  value.dispose();
  return { value: number, gradients: variables.map((variable) => grads[variable.name] ?? tf.zerosLike(variable)) };
}
