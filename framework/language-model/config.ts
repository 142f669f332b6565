/** The families of decoders that are computed here, by the names that config.json (`model_type`) and GGUF (`general.architecture`) have for them. */
export const architectures = ["llama", "qwen2", "qwen3"] as const;
export type Architecture = (typeof architectures)[number];

/** A Llama-form decoder as data: what `tiny` trains and what real checkpoints (Llama, SmolLM2, Qwen) bring in their config.json. */
export interface DecoderConfig {
  readonly vocabulary: number;
  readonly hidden: number;
  readonly layers: number;
  /** Query heads. */
  readonly heads: number;
  /** Key/value heads; `heads` is a multiple of it (grouped-query attention, arXiv 2305.13245). */
  readonly kvHeads: number;
  readonly headDim: number;
  /** Width of the SwiGLU feed-forward (arXiv 2002.05202). */
  readonly intermediate: number;
  /** Tokens of prompt and completion at most. */
  readonly context: number;
  readonly normEpsilon: number;
  readonly rope: RopeConfig;
  /** The output projection is the embedding's transpose. */
  readonly tiedHead: boolean;
  /** Biases on q, k and v (Qwen 2). */
  readonly qkvBias: boolean;
  /** RMS norm on each query and key head (Qwen 3). */
  readonly qkNorm: boolean;
}

/** What tells the families apart. */
type Traits = Pick<DecoderConfig, "qkvBias" | "qkNorm">;

export function traitsOf(architecture: Architecture): Traits {
  return { qkvBias: architecture === "qwen2", qkNorm: architecture === "qwen3" };
}

/** The published architecture that a decoder is of. */
export function architectureOf({ qkvBias, qkNorm }: Traits): Architecture {
  return qkNorm ? "qwen3" : qkvBias ? "qwen2" : "llama";
}

export interface RopeConfig {
  readonly theta: number;
  readonly scaling: RopeScaling | null;
}
export type RopeScaling =
  | { readonly type: "linear"; readonly factor: number }
  | {
      /** Llama 3.1: long wavelengths are slowed by `factor`, short ones kept, those between interpolated. */
      readonly type: "llama3";
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      readonly originalContext: number;
    };

/** Queries that share one key/value head. */
export function groupSize({ heads, kvHeads }: DecoderConfig): number {
  return heads / kvHeads;
}

/** Width of the fused query, key and value projection. */
export function qkvWidth({ heads, kvHeads, headDim }: DecoderConfig): number {
  return (heads + 2 * kvHeads) * headDim;
}

/** What one token's keys and values take in all layers. */
export function tokenBytes({ layers, kvHeads, headDim }: DecoderConfig): number {
  return 4 * 2 * layers * kvHeads * headDim;
}

/** Trainable numbers of a decoder, for estimates. */
export function parameterCount(config: DecoderConfig): number {
  const { hidden, intermediate, layers, vocabulary, heads, headDim, tiedHead } = config;
  const layer = hidden * qkvWidth(config) + heads * headDim * hidden + 3 * hidden * intermediate + 2 * hidden;
  return layers * layer + hidden + vocabulary * hidden * (tiedHead ? 1 : 2);
}
