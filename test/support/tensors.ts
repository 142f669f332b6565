/** What tensor tests share: closeness, leaks, finite differences. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";

/** Every value of `actual` within `tolerance` (absolute and relative) of the expected one. */
export function close(actual: tf.Tensor | ArrayLike<number>, expected: ArrayLike<number>, tolerance = 1e-5): void {
  const values = actual instanceof tf.Tensor ? actual.dataSync() : actual;
  assert.equal(values.length, expected.length);
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [values[i] as number, expected[i] as number];
    assert.ok(Math.abs(a - e) <= tolerance * Math.max(1, Math.abs(e)), `value ${i} is ${a}, expected ${e}`);
  }
}

/** A variable that is the only owner of its values. */
export function variable(values: () => tf.Tensor): tf.Variable {
  return tf.tidy(() => tf.variable(values()));
}

/** Runs `body` and asserts that it left as many tensors as it found. */
export function withoutLeak<Result>(body: () => Result): Result {
  const before = tf.memory().numTensors;
  const result = body();
  assert.equal(tf.memory().numTensors, before, "tensors leaked");
  return result;
}

/**
 * Asserts that the gradient of `compute` for each variable agrees with central differences, for up to `probes` entries of each.
 * float32 limits what a difference can show, hence the wide step and the tolerance.
 */
export function checkGradients(
  variables: readonly tf.Variable[],
  compute: () => tf.Scalar,
  { step = 1e-2, tolerance = 2e-2, probes = 12 }: { step?: number; tolerance?: number; probes?: number } = {},
): void {
  withoutLeak(() =>
    tf.tidy(() => {
      const { grads } = tf.variableGrads(compute, [...variables]);
      for (const variable of variables) {
        const gradient = grads[variable.name]?.dataSync();
        assert.ok(gradient, `no gradient arrived at variable ${variable.name} of shape [${variable.shape}]`);
        const values = Float32Array.from(variable.dataSync());
        const at = (index: number, by: number) => {
          const moved = Float32Array.from(values);
          moved[index] = (values[index] as number) + by;
          variable.assign(tf.tensor(moved, variable.shape, "float32"));
          return compute().dataSync()[0] as number;
        };
        const scale = Math.max(5e-2, ...gradient.map(Math.abs));
        const stride = Math.max(1, Math.floor(values.length / probes));
        for (let i = 0; i < values.length; i += stride) {
          const numeric = (at(i, step) - at(i, -step)) / (2 * step);
          const analytic = gradient[i] as number;
          assert.ok(
            Math.abs(numeric - analytic) <= tolerance * scale,
            `d/d${variable.name}[${i}] (shape [${variable.shape}]): ${analytic}, by differences ${numeric}`,
          );
        }
        variable.assign(tf.tensor(values, variable.shape, "float32"));
      }
    }),
  );
}
