import * as tf from "@tensorflow/tfjs-core";

export interface Differentiable<Value extends tf.Tensor> {
  readonly value: Value;
  /** What the gradient needs. */
  readonly saved: tf.Tensor[];
  /** @returns the gradient of each input, given that of the value and what was saved */
  readonly gradients: (dy: tf.Tensor, ...saved: tf.Tensor[]) => tf.Tensor[];
}

/** An op with a gradient of its own, where the tape's would be slower: `tf.customGrad` with types. What runs inside is not taped. */
export function withGradient<Inputs extends tf.Tensor[], Value extends tf.Tensor>(
  inputs: [...Inputs],
  compute: (...inputs: Inputs) => Differentiable<Value>,
): Value {
  // Off the tape, what customGrad does around it costs more than many an op.
  if (!tf.engine().isTapeOn()) return tf.tidy(() => compute(...inputs).value);
  const op = tf.customGrad((...all) => {
    const save = all.at(-1) as unknown as (tensors: tf.Tensor[]) => void;
    const { value, saved, gradients } = compute(...(all.slice(0, -1) as Inputs));
    save(saved);
    // tfjs calls it outside of any scope: all it makes would stay until the last gradient is there.
    return { value, gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.tidy(() => gradients(dy, ...saved)) };
  });
  return op(...inputs) as Value;
}
