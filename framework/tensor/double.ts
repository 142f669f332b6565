/**
 * Double precision for `rlrf try`. tfjs knows no float64, but its plain-JavaScript kernels compute with numbers, and only round
 * what they store: into whatever the global Float32Array is at that moment. For one synchronous call it is Float64Array, so that a
 * formula can be compared with a float64 reference to more digits than a float32 holds.
 */
import * as tf from "@tensorflow/tfjs-core";

/** @param compute synchronous; makes its tensors within, on the "cpu" engine, and leaves none behind */
export function inDoublePrecision<Result>(compute: () => Result): Result {
  if (tf.getBackend() !== "cpu") throw new Error(`the engine "${tf.getBackend()}" has no double precision`);
  const single = globalThis.Float32Array;
  globalThis.Float32Array = Float64Array as unknown as Float32ArrayConstructor;
  try {
    tf.engine().startScope("double precision");
    return compute();
  } finally {
    tf.engine().endScope();
    globalThis.Float32Array = single;
  }
}
