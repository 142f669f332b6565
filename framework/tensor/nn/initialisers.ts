import type { Initializer } from "../parameters.js";

export const zeros: Initializer = (shape) => new Float32Array(sizeOf(shape));
export const ones: Initializer = (shape) => new Float32Array(sizeOf(shape)).fill(1);

/** N(0, deviation²), redrawn beyond two deviations. */
export function truncatedNormal(deviation: number): Initializer {
  return (shape, rng) =>
    new Float32Array(sizeOf(shape)).map(() => {
      let value = rng.normal();
      while (Math.abs(value) > 2) value = rng.normal();
      return value * deviation;
    });
}

/** U(-bound, bound). */
export function uniform(bound: number): Initializer {
  return (shape, rng) => new Float32Array(sizeOf(shape)).map(() => (2 * rng.uniform() - 1) * bound);
}

/** U(-a, a), a = √(6 / (inputs + outputs)) of the last two dimensions (Glorot & Bengio 2010, eq. 16). */
export const xavierUniform: Initializer = (shape, rng) => {
  const [inputs, outputs] = fans(shape);
  return uniform(Math.sqrt(6 / (inputs + outputs)))(shape, rng);
};

/** U(-a, a), a = √(6 / inputs): keeps the variance through a ReLU (He et al. 2015, arXiv 1502.01852). */
export const heUniform: Initializer = (shape, rng) => uniform(Math.sqrt(6 / fans(shape)[0]))(shape, rng);

function fans(shape: readonly number[]): [inputs: number, outputs: number] {
  return [shape.at(-2) ?? 1, shape.at(-1) ?? 1];
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
