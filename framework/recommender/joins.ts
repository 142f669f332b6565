/** How the adapted text of a user meets those of the items: told once for all adaptors, which differ in how they adapt. */
import * as tf from "@tensorflow/tfjs-core";
import type { OptionSchema } from "../contracts/plugin.js";
import type { AdaptorNetwork, AdaptorShape, Mode } from "../contracts/recommender.js";
import type { Parameters } from "../tensor/parameters.js";

const joins = ["aspects", "product", "concat"] as const;
export type Join = (typeof joins)[number];

export interface JoinOptions {
  readonly join: Join;
  readonly gain: number;
}

/** The schema of JoinOptions. */
export const joinOptions: Readonly<Record<keyof JoinOptions, OptionSchema>> = {
  join: {
    enum: joins,
    default: "aspects",
    description:
      "How the user's text meets the item's: `concat` as published; `product` adds their elementwise product; `aspects` adapts each aspect by itself and gives its elementwise product with the item, so that the ranking depends on what the text says",
  },
  gain: {
    ...{ type: "number", exclusiveMinimum: 0, default: 0.1, unit: "factor" },
    description:
      "What the learned gains of the elementwise products start from (as LayerScale, arXiv 2103.17239): small, so that the ranking begins with what the items say and learns whom to hear, before it can learn users by heart",
  },
};

/** Texts of one side, at a root mean square of 1. @returns texts [n, width] -> [n, adapted] */
export type Adapt = (texts: tf.Tensor2D, mode: Mode) => tf.Tensor2D;

/**
 * @param scope for the gains of the products
 * @param sides how each side's texts are adapted; a silent text gives zeros, whatever they make of it: it says nothing in every join
 * @param adapted width of an adapted text
 */
export function joinedAdaptor(
  scope: Parameters,
  { aspects, width }: AdaptorShape,
  { join, gain }: JoinOptions,
  sides: { readonly users: Adapt; readonly items: Adapt },
  adapted: number,
): AdaptorNetwork {
  const aspectByAspect = join === "aspects";
  const voices = { aspects, product: 1, concat: 0 }[join];
  const gains =
    voices === 0 ? undefined : scope.create("gains", [voices * adapted], (shape) => new Float32Array(shape[0] as number).fill(gain));
  const adapt = (side: Adapt, texts: tf.Tensor2D, mode: Mode) => tf.mul(side(texts, mode), spoken(texts)) as tf.Tensor2D;
  return {
    aspectByAspect,
    features: { aspects: aspects + 1, product: 3, concat: 2 }[join] * adapted,
    users: (texts, mode) => {
      const heard = aspectByAspect ? unitRms(texts) : meanOfSpoken(unitRms(texts)); // [users, voices, width]
      const users = adapt(sides.users, tf.reshape(heard, [-1, width]), mode);
      return tf.reshape(users, [heard.shape[0], heard.shape[1], adapted]);
    },
    items: (texts, mode) => adapt(sides.items, unitRms(texts), mode),
    join: (users, items) => joined(join, users, items, gains),
  };
}

/** 1 where a vector says something, 0 where it is all zeros. @returns [..., 1] */
function spoken(texts: tf.Tensor): tf.Tensor {
  return tf.sign(tf.sum(tf.square(texts), -1, true));
}

/** Vectors at a root mean square of 1, whatever the text encoder's scale: entries as a layer expects them. Zeros stay zeros. */
function unitRms<Rank extends tf.Tensor>(texts: Rank): Rank {
  return tf.mul(texts, tf.rsqrt(tf.add(tf.mean(tf.square(texts), -1, true), 1e-12))) as Rank;
}

/** The mean over the aspects that are not silent. @param texts [users, aspects, width]; @returns [users, 1, width] */
function meanOfSpoken(texts: tf.Tensor3D): tf.Tensor3D {
  const voices = tf.maximum(tf.sum(spoken(texts), 1, true), 1); // [users, 1, 1]
  return tf.div(tf.sum(texts, 1, true), voices) as tf.Tensor3D;
}

/** @param users [batch, voices, adapted]; @param items [batch, list, adapted] */
function joined(join: Join, users: tf.Tensor3D, items: tf.Tensor3D, gains?: tf.Tensor): tf.Tensor3D {
  const [batch, list, adapted] = items.shape;
  const voices = users.shape[1];
  const products = tf.mul(tf.expandDims(items, 2), tf.expandDims(users, 1)); // [batch, list, voices, adapted]
  const plain = tf.reshape(products, [batch, list, voices * adapted]) as tf.Tensor3D;
  const flat = gains ? (tf.mul(plain, gains) as tf.Tensor3D) : plain;
  if (join === "aspects") return tf.concat([items, flat], 2);
  const toEach = tf.add(users, tf.zeros(items.shape)) as tf.Tensor3D; // [batch, list, adapted]
  return tf.concat(join === "product" ? [items, toEach, flat] : [items, toEach], 2);
}
