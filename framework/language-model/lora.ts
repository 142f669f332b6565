import * as tf from "@tensorflow/tfjs-core";
import type { AdapterState, LoraOptions } from "../contracts/llm.js";
import { RlrfError } from "../errors.js";
import { createRng } from "../rng.js";
import { type Initializer, Parameters } from "../tensor/parameters.js";
import { dropout } from "../tensor/nn/dropout.js";
import type { Factors, LayerFactors } from "./adapted-layer.js";
import type { DecoderConfig } from "./config.js";
import type { Delta } from "./decoder.js";
import { type FusedProjection, fusedProjections, type Part, projectionNames } from "./published-names.js";
import type { DecoderWeights, Projection } from "./weights.js";

/** kaiming_uniform(a = sqrt 5), what PEFT initialises A with: uniform within 1 / sqrt(inputs). */
const kaiming: Initializer = (shape, rng) => {
  const bound = 1 / Math.sqrt(shape[0] as number);
  return Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => bound * (2 * rng.uniform() - 1));
};
const zeros: Initializer = (shape) => new Float32Array(shape.reduce((a, b) => a * b, 1));

interface Pieces {
  readonly part: Part;
  readonly down: tf.Variable; // A [in, rank]
  readonly up: tf.Variable; // B [rank, width]
}

/** An adapter in one pass over tokens. */
export interface AdapterPass {
  /** Additions to the projections, on the tape. */
  readonly delta: Delta;
  /** The same as factors of a whole layer, for so many rows of tokens. */
  factors(layer: number, rows: number): LayerFactors;
}

/**
 * A low-rank adapter (Hu et al. 2021, arXiv 2106.09685): W x + (alpha / rank) B A dropout(x) on chosen projections.
 * B starts at 0, so a new adapter changes nothing. Projections that are fused stay fused: A's stand side by side, B's on a block diagonal.
 */
export class LoraAdapter {
  private readonly parameters: Parameters;
  private readonly layers: readonly ReadonlyMap<Projection, readonly Pieces[]>[];
  private readonly shapes: Readonly<Record<Projection, FusedProjection>>;

  constructor(
    config: DecoderConfig,
    readonly options: LoraOptions,
    seed: number,
  ) {
    const unknown = options.targets.filter((target) => !(projectionNames as readonly string[]).includes(target));
    if (unknown.length > 0 || options.targets.length === 0) {
      throw new RlrfError("RLRF_LORA_TARGET", {
        message:
          unknown.length > 0 ? `no projection is called ${unknown.join(", ")}` : "an adapter without projections has nothing to learn",
        where: "alignment.lora.targets",
        expected: projectionNames.join(", "),
      });
    }
    this.parameters = new Parameters(createRng(seed, "lora"));
    this.shapes = fusedProjections(config);
    this.layers = Array.from({ length: config.layers }, (_, layer) => this.createLayer(this.parameters.scope(`layers.${layer}`)));
  }

  private createLayer(scope: Parameters): ReadonlyMap<Projection, readonly Pieces[]> {
    const { rank, targets } = this.options;
    const entries = (Object.keys(this.shapes) as Projection[]).map((projection): [Projection, Pieces[]] => {
      const { inputs, parts } = this.shapes[projection];
      const chosen = parts.filter((part) => targets.includes(part.name));
      const create = (part: Part): Pieces => ({
        part,
        down: scope.create(`${part.name}.lora_A`, [inputs, rank], kaiming),
        up: scope.create(`${part.name}.lora_B`, [rank, part.width], zeros),
      });
      return [projection, chosen.map(create)];
    });
    return new Map(entries.filter(([, pieces]) => pieces.length > 0));
  }

  get variables(): readonly tf.Variable[] {
    return [...this.parameters.all.values()];
  }

  /** What one pass over tokens adds. @param dropoutSeed draws its dropout masks; absent = no dropout */
  pass(dropoutSeed?: number): AdapterPass {
    const masked = (layer: number, projection: Projection, rows: number): Factors | null => {
      const pieces = this.layers[layer]?.get(projection);
      return pieces === undefined ? null : { ...this.joined(projection, pieces), mask: this.mask(layer, projection, rows, dropoutSeed) };
    };
    return {
      factors: (layer, rows) => {
        const entries = (Object.keys(this.shapes) as Projection[]).map(
          (projection) => [projection, masked(layer, projection, rows)] as const,
        );
        return Object.fromEntries(entries.filter(([, factors]) => factors !== null)) as LayerFactors;
      },
      delta: (layer, projection, input) => {
        const factors = masked(layer, projection, input.shape[0]);
        if (factors === null) return null;
        const kept = factors.mask === null ? input : tf.mul(input, factors.mask);
        return tf.matMul(tf.matMul(kept, factors.down) as tf.Tensor2D, factors.up);
      },
    };
  }

  /** [rows, in]; null = nothing is dropped */
  private mask(layer: number, projection: Projection, rows: number, dropoutSeed: number | undefined): tf.Tensor2D | null {
    if (dropoutSeed === undefined || this.options.dropout === 0) return null;
    const rng = createRng(dropoutSeed, layer, projection);
    return dropout(tf.ones([rows, this.shapes[projection].inputs]) as tf.Tensor2D, this.options.dropout, {
      training: true,
      nextSeed: () => rng.seed(),
    });
  }

  /** Weights with the adapter added in, for generation. The caller disposes `merged`, the matrices that are new. */
  merge(weights: DecoderWeights): { readonly weights: DecoderWeights; readonly merged: readonly tf.Tensor[] } {
    const merged: tf.Tensor[] = [];
    const layers = weights.layers.map((layer, index) => {
      const changed: Partial<Record<Projection, tf.Tensor2D>> = {};
      for (const [projection, pieces] of this.layers[index] ?? []) {
        const sum = tf.tidy(() => {
          const { down, up } = this.joined(projection, pieces);
          return tf.add(layer[projection], tf.matMul(down, up)) as tf.Tensor2D;
        });
        merged.push(sum);
        changed[projection] = sum;
      }
      return { ...layer, ...changed };
    });
    return { weights: { ...weights, layers }, merged };
  }

  /** [in, rank * parts] and [rank * parts, width], the scale in the second. */
  private joined(projection: Projection, pieces: readonly Pieces[]): { readonly down: tf.Tensor2D; readonly up: tf.Tensor2D } {
    const { width } = this.shapes[projection];
    const scale = this.options.alpha / this.options.rank;
    const downs = pieces.map(({ down }) => down as tf.Tensor as tf.Tensor2D);
    const ups = pieces.map(({ part, up }) => {
      const columns: [number, number] = [part.from, width - part.from - part.width];
      return tf.pad(tf.mul(up, scale) as tf.Tensor2D, [[0, 0], columns]);
    });
    return downs.length === 1
      ? { down: downs[0] as tf.Tensor2D, up: ups[0] as tf.Tensor2D }
      : { down: tf.concat(downs, 1), up: tf.concat(ups, 0) };
  }

  /** Every B is zero: the adapter changes nothing yet. */
  get neutral(): boolean {
    return this.layers.every((layer) =>
      [...layer.values()].flat().every(({ up }) => up.dataSync<"float32">().every((value) => value === 0)),
    );
  }

  state(): Promise<AdapterState> {
    return this.parameters.state();
  }

  restore(state: AdapterState): void {
    this.parameters.restore(state);
  }

  dispose(): void {
    this.parameters.dispose();
  }
}
