/** What the suites of tensor plugins share. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { Mode } from "../contracts/recommender.js";
import { createRng } from "../rng.js";
import { Parameters } from "../tensor/parameters.js";

export const inference: Mode = { training: false, nextSeed: () => 0 };
export function training(seed = 1): Mode {
  const rng = createRng("mode", seed);
  return { training: true, nextSeed: () => rng.seed() };
}

export async function noLeak(body: () => void | Promise<void>): Promise<void> {
  const before = tf.memory().numTensors;
  await body();
  assert.equal(tf.memory().numTensors, before, "tensors are left behind");
}

export function finite(values: ArrayLike<number>, what: string): void {
  for (let i = 0; i < values.length; i++) assert.ok(Number.isFinite(values[i]), `${what}[${i}] is ${values[i]}`);
}

export function shape(tensor: tf.Tensor, expected: readonly number[], what: string): void {
  assert.deepEqual(tensor.shape, [...expected], `shape of ${what}`);
  finite(tensor.dataSync(), what);
}

/** Standard normal values of a shape, the same for the same seed. */
export function normal<R extends tf.Rank>(dimensions: tf.ShapeMap[R], seed: number): tf.Tensor<R> {
  const rng = createRng("normal", seed);
  const size = (dimensions as readonly number[]).reduce((a, b) => a * b, 1);
  return tf.tensor(
    Float32Array.from({ length: size }, () => rng.normal()),
    dimensions,
    "float32",
  );
}

/** Builds a network twice from one seed: its parameters are the same, and are all freed. */
export async function withNetwork<Network>(
  build: (scope: Parameters) => Network,
  body: (network: Network, parameters: Parameters) => void,
): Promise<void> {
  await noLeak(async () => {
    const [first, second] = [0, 1].map(() => new Parameters(createRng("network", 7)));
    assert.ok(first && second);
    try {
      const network = build(first);
      build(second);
      assert.deepEqual([...first.all.keys()], [...second.all.keys()], "the same seed gives the same parameters");
      for (const [name, variable] of first.all)
        assert.deepEqual(variable.dataSync(), second.all.get(name)?.dataSync(), `the same seed gives the same ${name}`);
      tf.tidy(() => body(network, first));
    } finally {
      first.dispose();
      second.dispose();
    }
  });
}

/** A finite gradient reaches every parameter, and is not 0 everywhere. */
export function gradientsArrive(parameters: Parameters, loss: () => tf.Scalar): void {
  if (parameters.all.size === 0) return;
  const { grads } = tf.variableGrads(loss, [...parameters.all.values()]);
  let moves = false;
  for (const [name, variable] of parameters.all) {
    const gradient = grads[variable.name]?.dataSync();
    assert.ok(gradient, `no gradient reaches ${name}`);
    finite(gradient, `gradient of ${name}`);
    moves ||= gradient.some((value) => value !== 0);
  }
  assert.ok(moves, "every gradient is 0");
}
