/** Gradients that TensorFlow has as one op and tfjs does not name; composed of tfjs' own ops on the other engines. */
import * as tf from "@tensorflow/tfjs-core";
import type { NodeBackend } from "../tensorflow-kernels.js";

/** dy where y > 0, else 0, for y = relu(x). The sign of y is the step function, which tfjs builds from six ops on the native engine. */
export function reluGradient(dy: tf.Tensor, y: tf.Tensor): tf.Tensor {
  return native("ReluGrad", [dy, y]) ?? tf.mul(dy, tf.sign(y));
}

/** Sums over all dimensions but the last. */
export function biasGradient(dy: tf.Tensor): tf.Tensor {
  return (
    native("BiasAddGrad", [dy]) ??
    tf.sum(
      dy,
      dy.shape.slice(0, -1).map((_, axis) => axis),
    )
  );
}

/** One TensorFlow op on float32 tensors; undefined where the engine is another. */
function native(op: string, inputs: readonly tf.Tensor[]): tf.Tensor | undefined {
  if (tf.getBackend() !== "tensorflow") return undefined;
  const backend = tf.backend() as unknown as NodeBackend;
  const { TF_ATTR_TYPE, TF_FLOAT } = backend.binding;
  return backend.executeSingleOutput(op, [{ name: "T", type: TF_ATTR_TYPE, value: TF_FLOAT }], inputs);
}
