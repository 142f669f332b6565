import * as tf from "@tensorflow/tfjs-core";
import type { Mode } from "../../contracts/recommender.js";
import { createRng } from "../../rng.js";
import { withGradient } from "./with-gradient.js";

const poolSize = 1 << 22;
const pools = new Map<number, Float32Array>();

/**
 * Inverted dropout (Srivastava et al. 2014): zero with probability `rate`, else divided by 1 - rate; the identity outside training.
 * tfjs draws its random tensors in JavaScript, number by number, which would cost more than the layers around; so each mask
 * is a window, at a random offset, of one long mask drawn once a rate.
 * @param shape of the mask; a length of 1 drops the same units along that dimension
 */
export function dropout<Rank extends tf.Tensor>(x: Rank, rate: number, mode: Mode, shape: readonly number[] = x.shape): Rank {
  const mask = dropoutMask(shape, rate, mode);
  if (mask === null) return x;
  return withGradient<[tf.Tensor], Rank>([x], (x) => ({
    value: tf.mul(x, mask) as Rank,
    saved: [mask],
    gradients: (dy, mask) => [tf.mul(dy, mask as tf.Tensor)],
  }));
}

/** What dropout multiplies by: 0, or 1 / (1 - rate); null where it drops nothing. */
export function dropoutMask(shape: readonly number[], rate: number, mode: Mode): tf.Tensor | null {
  if (!mode.training || rate === 0) return null;
  const size = shape.reduce((product, length) => product * length, 1);
  return tf.tensor(maskOf(size, rate, mode), [...shape], "float32");
}

function maskOf(size: number, rate: number, mode: Mode): Float32Array {
  const pool = poolOf(rate);
  // At least half of the pool's length of freedom; longer masks are joined from several windows.
  if (size <= poolSize / 2) return window(pool, size, mode);
  const mask = new Float32Array(size);
  for (let at = 0; at < size; at += poolSize / 2) mask.set(window(pool, Math.min(poolSize / 2, size - at), mode), at);
  return mask;
}

function window(pool: Float32Array, size: number, mode: Mode): Float32Array {
  const offset = mode.nextSeed() % (poolSize - size + 1);
  return pool.subarray(offset, offset + size);
}

function poolOf(rate: number): Float32Array {
  const known = pools.get(rate);
  if (known) return known;
  if (!(rate > 0 && rate < 1)) throw new RangeError(`dropout rate ${rate} is not in [0, 1)`);
  const rng = createRng("dropout", rate);
  const pool = new Float32Array(poolSize);
  for (let i = 0; i < poolSize; i++) pool[i] = rng.uniform() < rate ? 0 : 1 / (1 - rate);
  pools.set(rate, pool);
  return pool;
}
