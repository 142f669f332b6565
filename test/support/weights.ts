/** Weights that a reference in Python can make too. */
import { crc32 } from "node:zlib";
import * as tf from "@tensorflow/tfjs-core";
import type { Parameters } from "../../framework/tensor/parameters.js";

/** The same as test/golden/weights.py: a hash of the tensor's name and of the position in it. */
export function hashedWeight(name: string, shape: readonly number[]): { readonly shape: readonly number[]; readonly values: Float32Array } {
  const salt = crc32(name);
  const mix = (value: number) => {
    let x = value >>> 0;
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    return (x ^ (x >>> 16)) >>> 0;
  };
  const count = shape.reduce((a, b) => a * b, 1);
  const scaled = (uniform: number) => (name.includes("norm") ? 1 + 0.5 * uniform : 0.8 * uniform);
  return { shape, values: Float32Array.from({ length: count }, (_, i) => scaled(mix(i ^ salt) / 2 ** 32 - 0.5)) };
}

/** Gives every parameter its hashed values. */
export function hashWeights(parameters: Parameters): void {
  for (const [name, each] of parameters.all) tf.tidy(() => each.assign(tf.tensor(hashedWeight(name, each.shape).values, each.shape)));
}
