import * as tf from "@tensorflow/tfjs-core";
import { biasGradient } from "./native.js";
import { withGradient } from "./with-gradient.js";

/** a + b of one shape, where the tape would reshape both gradients. */
export function plus<Rank extends tf.Tensor>(a: Rank, b: Rank): Rank {
  return withGradient<[tf.Tensor, tf.Tensor], Rank>([a, b], (a, b) => ({
    value: tf.add(a, b) as Rank,
    saved: [],
    gradients: (dy) => [tf.clone(dy), tf.clone(dy)],
  }));
}

/** x Φ(x), Φ the normal distribution's (Hendrycks & Gimpel 2016, arXiv 1606.08415). */
export function gelu<Rank extends tf.Tensor>(x: Rank): Rank {
  return withGradient<[tf.Tensor], Rank>([x], (x) => {
    const below = tf.mul(tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1), 0.5);
    return {
      value: tf.mul(x, below) as Rank,
      saved: [x, below],
      gradients: (dy, x, below) => {
        const density = tf.mul(tf.exp(tf.mul(tf.square(x as tf.Tensor), -0.5)), 1 / Math.sqrt(2 * Math.PI));
        return [tf.mul(dy, tf.add(below as tf.Tensor, tf.mul(x as tf.Tensor, density)))];
      },
    };
  });
}

/** x σ(x) (Elfwing et al. 2017, arXiv 1702.03118). */
export function silu<Rank extends tf.Tensor>(x: Rank): Rank {
  return withGradient<[tf.Tensor], Rank>([x], (x) => {
    const gate = tf.sigmoid(x);
    return {
      value: tf.mul(x, gate) as Rank,
      saved: [x, gate],
      gradients: (dy, x, gate) => [tf.mul(dy, siluSlope(x as tf.Tensor, gate as tf.Tensor))],
    };
  });
}

/** The derivative of x σ(x), given σ(x). */
export function siluSlope(x: tf.Tensor, gate: tf.Tensor): tf.Tensor {
  return tf.mul(gate, tf.add(1, tf.mul(x, tf.sub(1, gate))));
}

/** x where it is positive, eˣ - 1 elsewhere (Clevert et al. 2015, arXiv 1511.07289). */
export function elu<Rank extends tf.Tensor>(x: Rank): Rank {
  return withGradient<[tf.Tensor], Rank>([x], (x) => {
    const below = tf.exp(tf.minimum(x, 0)); // the slope, too
    return {
      value: tf.sub(tf.add(tf.relu(x), below), 1) as Rank,
      saved: [below],
      gradients: (dy, below) => [tf.mul(dy, below as tf.Tensor)],
    };
  });
}

/** x where it is positive, slope * x elsewhere (He et al. 2015, arXiv 1502.01852). @param slope learned, [last dimension of x] */
export function prelu<Rank extends tf.Tensor>(x: Rank, slope: tf.Tensor): Rank {
  return withGradient<[tf.Tensor, tf.Tensor], Rank>([x, slope], (x, slope) => {
    const negative = tf.minimum(x, 0);
    return {
      value: tf.add(tf.relu(x), tf.mul(negative, slope)) as Rank,
      saved: [negative, slope],
      gradients: (dy, ...saved) => {
        const [negative, slope] = saved as [tf.Tensor, tf.Tensor];
        const below = tf.neg(tf.sign(negative)); // 1 where x < 0
        return [tf.mul(dy, tf.add(1, tf.mul(below, tf.sub(slope, 1)))), biasGradient(tf.mul(dy, negative))];
      },
    };
  });
}
