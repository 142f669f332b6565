import type * as tf from "@tensorflow/tfjs-core";
import type { Mode } from "../../contracts/recommender.js";
import type { Parameters } from "../parameters.js";
import { plus } from "./activations.js";
import { selfAttention } from "./attention.js";
import { mlp } from "./dense.js";
import { dropout } from "./dropout.js";
import { layerNorm } from "./norm.js";

export interface BlockShape {
  readonly width: number;
  readonly heads: number;
  /** Inner width of the feed-forward layers. */
  readonly inner: number;
  readonly dropout: number;
  /** Of the attention's weights; default 0. */
  readonly attentionDropout?: number;
  /** Whether attention ends with a projection of its heads; default true. */
  readonly projected?: boolean;
  /** Where the sums are normalised: "pre" = x + g(norm(x)), "post" = norm(x + g(x)). */
  readonly norm: "pre" | "post";
  /** Of the feed-forward layers; default ReLU. */
  readonly activation?: "relu" | "gelu";
}

/**
 * One transformer block: self-attention, then two position-wise dense layers, each with dropout, residual and layer norm.
 * @returns x [batch * length, width], batch, mode, mask (added to the attention's scores) -> [batch * length, width]
 */
export function transformerBlock(scope: Parameters, shape: BlockShape) {
  const { width, inner } = shape;
  const attend = selfAttention(scope.scope("attention"), shape);
  const feed = mlp(scope.scope("feedForward"), width, [inner, width], shape.dropout, shape.activation);
  const norms = [layerNorm(scope.scope("attentionNorm"), width), layerNorm(scope.scope("feedForwardNorm"), width)] as const;
  const residual = (x: tf.Tensor2D, layer: (x: tf.Tensor2D) => tf.Tensor2D, norm: (typeof norms)[number], mode: Mode): tf.Tensor2D =>
    shape.norm === "pre" ? plus(x, dropout(layer(norm(x)), shape.dropout, mode)) : norm(plus(x, dropout(layer(x), shape.dropout, mode)));
  return (x: tf.Tensor2D, batch: number, mode: Mode, mask?: tf.Tensor): tf.Tensor2D => {
    const attended = residual(x, (value) => attend(value, batch, mask, { rate: shape.attentionDropout ?? 0, mode }), norms[0], mode);
    return residual(attended, (value) => feed(value, mode), norms[1], mode);
  };
}
