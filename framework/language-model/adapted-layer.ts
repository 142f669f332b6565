/**
 * A frozen decoder layer with a low-rank adapter as one operation with a hand-written gradient. A tape would keep every intermediate of the
 * layer, and compute some of them twice; this keeps what the gradient reads (13 MB a layer of SmolLM2 and 360 tokens), or with `recompute`
 * only the layer's input, and computes the rest again (gradient checkpointing, Chen et al. 2016, arXiv 1604.06174).
 */
import * as tf from "@tensorflow/tfjs-core";
import { withGradient } from "../tensor/nn/with-gradient.js";
import { attention, attentionGradients, type HeadTensors } from "./attention.js";
import { type DecoderConfig, groupSize } from "./config.js";
import { gated, gatedGradient, normalised, normaliseGradient, rotated, rotateGradient } from "./ops.js";
import type { Rotation } from "./rotary.js";
import type { LayerWeights, Projection } from "./weights.js";

/** x W + dropout(x) down up. */
export interface Factors {
  readonly down: tf.Tensor2D; // [in, rank]
  readonly up: tf.Tensor2D; // [rank, out], the scale in it
  /** What dropout multiplies the input by; null = no dropout. [rows, in] */
  readonly mask: tf.Tensor2D | null;
}
export type LayerFactors = Readonly<Partial<Record<Projection, Factors>>>;

/** Sequences side by side: [rows * length, …]. */
export interface Sequences {
  readonly config: DecoderConfig;
  readonly rows: number;
  readonly length: number;
  readonly mask: tf.Tensor4D; // [rows or 1, 1, length, length]
  readonly rotation: Rotation;
}

const order = ["qkv", "out", "gate", "up", "down"] as const satisfies readonly Projection[];

/** [rows * length, hidden] -> the same. Gradients reach the input and the factors, and nothing else. */
export function adaptedLayer(
  sequences: Sequences,
  layer: LayerWeights,
  x: tf.Tensor2D,
  factors: LayerFactors,
  recompute: boolean,
): tf.Tensor2D {
  const adapted = order.filter((projection) => factors[projection] !== undefined);
  const masks = adapted.flatMap((projection) => factors[projection]?.mask ?? []);
  const inputs = adapted.flatMap((projection) => [factors[projection]?.down, factors[projection]?.up]) as tf.Tensor2D[];
  return withGradient<tf.Tensor2D[], tf.Tensor2D>([x, ...inputs], (x, ...own) => {
    const { value, kept } = new LayerPass(sequences, layer, grouped(adapted, own, masks)).forward(x as tf.Tensor2D);
    // All that the gradient reads has to be saved, also what is shared by all layers: the forward pass' scope is gone by then.
    const { mask, rotation } = sequences;
    const parts: (readonly tf.Tensor[])[] = [
      [x as tf.Tensor2D, mask, rotation.cos, rotation.sin],
      own,
      masks,
      recompute ? [] : Object.values(kept),
    ];
    return {
      value,
      saved: parts.flat(),
      gradients: (dy, ...saved) => {
        const [shared = [], own = [], masks = [], found = []] = unflattened(
          saved,
          parts.map(({ length }) => length),
        );
        const [x, mask, cos, sin] = shared as [tf.Tensor2D, tf.Tensor4D, tf.Tensor3D, tf.Tensor3D];
        const pass = new LayerPass({ ...sequences, mask, rotation: { cos, sin } }, layer, grouped(adapted, own, masks));
        const names = Object.keys(kept);
        const again = recompute ? pass.forward(x).kept : (Object.fromEntries(names.map((name, i) => [name, found[i]])) as unknown as Kept); // saved under these names
        const { input, factors } = pass.backward(dy as tf.Tensor2D, again);
        return [input, ...adapted.flatMap((projection) => factors[projection] ?? [])];
      },
    };
  });
}

function unflattened(tensors: readonly tf.Tensor[], lengths: readonly number[]): readonly (readonly tf.Tensor[])[] {
  let from = 0;
  return lengths.map((length) => {
    from += length;
    return tensors.slice(from - length, from);
  });
}

function grouped(adapted: readonly Projection[], own: readonly tf.Tensor[], masks: readonly tf.Tensor[]): LayerFactors {
  const entries = adapted.map((projection, i) => [projection, { down: own[2 * i], up: own[2 * i + 1], mask: masks[i] ?? null }]);
  return Object.fromEntries(entries) as LayerFactors;
}

/** What a layer's gradient reads of its forward pass. */
type Kept = {
  readonly inputNormal: tf.Tensor2D;
  readonly inputInverse: tf.Tensor;
  readonly query: tf.Tensor;
  readonly key: tf.Tensor;
  readonly value: tf.Tensor;
  readonly weights: tf.Tensor;
  readonly mixed: tf.Tensor; // [rows, kvHeads, group * length, headDim]
  readonly postNormal: tf.Tensor2D;
  readonly postInverse: tf.Tensor;
  readonly gate: tf.Tensor2D;
  readonly up: tf.Tensor2D;
  /** Of the norm of each query and key head, where there is one. */
  readonly headNormal?: tf.Tensor3D;
  readonly headInverse?: tf.Tensor;
};

class LayerPass {
  constructor(
    private readonly sequences: Sequences,
    private readonly layer: LayerWeights,
    private readonly factors: LayerFactors,
  ) {}

  forward(x: tf.Tensor2D): { readonly value: tf.Tensor2D; readonly kept: Kept } {
    const { config, mask } = this.sequences;
    const { inputNorm, postNorm } = this.layer;
    const before = normalised(x, config.normEpsilon);
    const { heads, ...headNorm } = this.heads(this.project("qkv", tf.mul(before.normal, inputNorm)));
    const { mixed, weights } = attention(heads, mask);
    const between: tf.Tensor2D = tf.add(x, this.project("out", this.byToken(mixed)));
    const after = normalised(between, config.normEpsilon);
    const inner: tf.Tensor2D = tf.mul(after.normal, postNorm);
    const [gate, up] = [this.project("gate", inner), this.project("up", inner)];
    return {
      value: tf.add(between, this.project("down", gated(gate, up))),
      kept: {
        inputNormal: before.normal,
        inputInverse: before.inverse,
        ...heads,
        weights,
        mixed,
        postNormal: after.normal,
        postInverse: after.inverse,
        gate,
        up,
        ...headNorm,
      },
    };
  }

  backward(dy: tf.Tensor2D, kept: Kept): { readonly input: tf.Tensor2D; readonly factors: Partial<Record<Projection, tf.Tensor[]>> } {
    const { inputNorm, postNorm } = this.layer;
    const factors: Partial<Record<Projection, tf.Tensor[]>> = {};
    const through = (projection: Projection, dy: tf.Tensor2D, input: () => tf.Tensor2D) => this.unproject(projection, dy, input, factors);
    const dGated = through("down", dy, () => gated(kept.gate, kept.up));
    const dInner = gatedGradient(dGated, kept.gate, kept.up);
    const inner = (): tf.Tensor2D => tf.mul(kept.postNormal, postNorm);
    const dPost: tf.Tensor2D = tf.add(through("gate", dInner.gate, inner), through("up", dInner.up, inner));
    const dBetween: tf.Tensor2D = tf.add(dy, normaliseGradient(tf.mul(dPost, postNorm), kept.postNormal, kept.postInverse));
    const dMixed = through("out", dBetween, () => this.byToken(kept.mixed));
    const dHeads = attentionGradients(this.byHead(dMixed), kept, kept.weights, kept.mixed);
    const dInput = through("qkv", this.unhead(dHeads, kept), () => tf.mul(kept.inputNormal, inputNorm));
    return { input: tf.add(dBetween, normaliseGradient(tf.mul(dInput, inputNorm), kept.inputNormal, kept.inputInverse)), factors };
  }

  private project(projection: Projection, x: tf.Tensor2D): tf.Tensor2D {
    const base = tf.matMul(x, this.layer[projection]) as tf.Tensor2D;
    const factors = this.factors[projection];
    return factors === undefined ? base : tf.add(base, tf.matMul(this.narrowed(x, factors), factors.up));
  }

  private narrowed(x: tf.Tensor2D, { down, mask }: Factors): tf.Tensor2D {
    return tf.matMul(mask === null ? x : tf.mul(x, mask), down);
  }

  /** The gradient of the projection's input; those of its factors are put into `gradients`. */
  private unproject(
    projection: Projection,
    dy: tf.Tensor2D,
    input: () => tf.Tensor2D,
    gradients: Partial<Record<Projection, tf.Tensor[]>>,
  ): tf.Tensor2D {
    const base = tf.matMul(dy, this.layer[projection], false, true) as tf.Tensor2D;
    const factors = this.factors[projection];
    if (factors === undefined) return base;
    const { down, up, mask } = factors;
    const x = mask === null ? input() : tf.mul(input(), mask);
    const dNarrow = tf.matMul(dy, up, false, true); // [rows, rank]
    gradients[projection] = [tf.matMul(x, dNarrow, true, false), tf.matMul(tf.matMul(x, down), dy, true, false)];
    const added = tf.matMul(dNarrow, down, false, true);
    return tf.add(base, mask === null ? added : tf.mul(added, mask));
  }

  /** [rows * length, heads * headDim] -> [rows, kvHeads, group * length, headDim] */
  private byHead(x: tf.Tensor2D): tf.Tensor {
    const { config, rows, length } = this.sequences;
    const turned = tf.transpose(tf.reshape(x, [rows, length, config.heads, config.headDim]), [0, 2, 1, 3]);
    return tf.reshape(turned, [rows, config.kvHeads, groupSize(config) * length, config.headDim]);
  }

  private byToken(x: tf.Tensor): tf.Tensor2D {
    const { config, rows, length } = this.sequences;
    const turned = tf.transpose(tf.reshape(x, [rows, config.heads, length, config.headDim]), [0, 2, 1, 3]);
    return tf.reshape(turned, [rows * length, config.heads * config.headDim]) as tf.Tensor2D;
  }

  /** A fused row, biased, normed and turned, by heads. */
  private heads(projected: tf.Tensor2D): {
    readonly heads: HeadTensors;
    readonly headNormal?: tf.Tensor3D;
    readonly headInverse?: tf.Tensor;
  } {
    const { config, rows, length, rotation } = this.sequences;
    const { heads, kvHeads, headDim, normEpsilon } = config;
    const { qkvBias, qkNorm } = this.layer;
    const biased = qkvBias === undefined ? projected : tf.add(projected, qkvBias);
    let byToken = tf.reshape(biased, [-1, heads + 2 * kvHeads, headDim]) as tf.Tensor3D;
    let normed: { readonly headNormal?: tf.Tensor3D; readonly headInverse?: tf.Tensor } = {};
    if (qkNorm !== undefined) {
      const [queryKey, value] = tf.split(byToken, [heads + kvHeads, kvHeads], 1) as [tf.Tensor3D, tf.Tensor3D];
      const { normal, inverse } = normalised(queryKey, normEpsilon);
      byToken = tf.concat([tf.mul(normal, qkNorm) as tf.Tensor3D, value], 1);
      normed = { headNormal: normal, headInverse: inverse };
    }
    const turned = tf.reshape(rotated(byToken, rotation), [rows, length, heads + 2 * kvHeads, headDim]);
    const [query, key, value] = tf.split(tf.transpose(turned, [0, 2, 1, 3]), [heads, kvHeads, kvHeads], 1) as [
      tf.Tensor,
      tf.Tensor,
      tf.Tensor,
    ];
    return { heads: { query: tf.reshape(query, [rows, kvHeads, groupSize(config) * length, headDim]), key, value }, ...normed };
  }

  /** The gradient of `heads`: [rows * length, qkvWidth]. */
  private unhead({ query, key, value }: HeadTensors, { headNormal, headInverse }: Kept): tf.Tensor2D {
    const { config, rows, length, rotation } = this.sequences;
    const { heads, kvHeads, headDim } = config;
    const all = tf.concat([tf.reshape(query, [rows, heads, length, headDim]), key, value], 1);
    const byToken = tf.reshape(tf.transpose(all, [0, 2, 1, 3]), [rows * length, heads + 2 * kvHeads, headDim]) as tf.Tensor3D;
    let gradient = rotateGradient(byToken, rotation);
    if (this.layer.qkNorm !== undefined && headNormal !== undefined && headInverse !== undefined) {
      const [queryKey, value] = tf.split(gradient, [heads + kvHeads, kvHeads], 1) as [tf.Tensor3D, tf.Tensor3D];
      gradient = tf.concat([normaliseGradient(tf.mul(queryKey, this.layer.qkNorm) as tf.Tensor3D, headNormal, headInverse), value], 1);
    }
    return tf.reshape(gradient, [rows * length, -1]) as tf.Tensor2D;
  }
}
