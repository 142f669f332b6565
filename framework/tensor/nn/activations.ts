import * as tf from "@tensorflow/tfjs-core";
import { withGradient } from "./with-gradient.js";

/** max(0, x). tfjs' own gradient builds its step function from six ops on the native engine; the sign of the result is one. */
export function relu<Rank extends tf.Tensor>(x: Rank): Rank {
  return withGradient([x], (x) => {
    const value = tf.relu(x);
    return { value, saved: [value], gradients: (dy, y) => [tf.mul(dy, tf.sign(y as tf.Tensor))] };
  });
}
