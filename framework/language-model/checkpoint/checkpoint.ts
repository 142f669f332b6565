/** What every layout of a published model comes to: a decoder's sizes, its weights under Hugging Face's names, its tokenizer and chat template. */
import { type Architecture, architectures, type DecoderConfig, groupSize } from "../config.js";
import type { CheckpointTensor } from "../weights.js";
import { brokenCheckpoint, quoted, unsupportedCheckpoint } from "./faults.js";
import type { TokenizerJson } from "./tokenizer-json.js";

/** What of a published model tells how it is spoken with, whoever computes it. */
export interface CheckpointLanguage {
  /** The file or folder. */
  readonly path: string;
  readonly tokenizer: TokenizerJson;
  readonly chat: ChatDescription;
  /** Every file whose content decides what the model writes. */
  readonly files: readonly string[];
}

export interface Checkpoint extends CheckpointLanguage {
  readonly config: DecoderConfig;
  /** One of `checkpointShapes(config)`, in float32, in the shape that stands there. */
  read(name: string): Promise<CheckpointTensor>;
  close(): Promise<void>;
}

export interface ChatDescription {
  /** Jinja; null: the checkpoint has none. */
  readonly template: string | null;
  /** Special tokens that the template may write, by the names it has for them: `bos_token`, `eos_token`. */
  readonly variables: Readonly<Record<string, string>>;
  /** Tokens at which a text ends, as far as the files say. */
  readonly endTokens: readonly number[];
}

/** Every tensor that a decoder is made of, with its shape; matrices are [out, in]. */
export function checkpointShapes(config: DecoderConfig): ReadonlyMap<string, readonly number[]> {
  const { vocabulary, hidden, layers, heads, kvHeads, headDim, intermediate } = config;
  const shapes = new Map<string, readonly number[]>([
    ["model.embed_tokens.weight", [vocabulary, hidden]],
    ["model.norm.weight", [hidden]],
  ]);
  if (!config.tiedHead) shapes.set("lm_head.weight", [vocabulary, hidden]);
  for (let layer = 0; layer < layers; layer++) {
    const set = (name: string, ...shape: number[]) => shapes.set(`model.layers.${layer}.${name}`, shape);
    for (const [name, count] of [
      ["q", heads],
      ["k", kvHeads],
      ["v", kvHeads],
    ] as const) {
      // biome-ignore format: one line
      set(`self_attn.${name}_proj.weight`, count * headDim, hidden);
      if (config.qkvBias) set(`self_attn.${name}_proj.bias`, count * headDim);
      if (config.qkNorm && name !== "v") set(`self_attn.${name}_norm.weight`, headDim);
    }
    set("self_attn.o_proj.weight", hidden, heads * headDim);
    set("mlp.gate_proj.weight", intermediate, hidden);
    set("mlp.up_proj.weight", intermediate, hidden);
    set("mlp.down_proj.weight", hidden, intermediate);
    set("input_layernorm.weight", hidden);
    set("post_attention_layernorm.weight", hidden);
  }
  return shapes;
}

/** @param key under which the checkpoint names its architecture @throws RLRF_CHECKPOINT_UNSUPPORTED when it is none of ours */
export function knownArchitecture(where: string, key: string, name: unknown): Architecture {
  const known = architectures.find((architecture) => architecture === name);
  if (known !== undefined) return known;
  throw unsupportedCheckpoint(where, `its ${key} is ${quoted(name)}`, architectures.join(", "));
}

/** Layers of the deepest decoders of today: about 130. Bounds what a lying file can make us list. */
const mostLayers = 1024;

/** @throws RLRF_CHECKPOINT_BROKEN, RLRF_CHECKPOINT_UNSUPPORTED when the sizes cannot be those of a decoder */
export function checkConfig(where: string, config: DecoderConfig): DecoderConfig {
  const { vocabulary, hidden, layers, heads, kvHeads, headDim, intermediate, context, normEpsilon, rope } = config;
  for (const [name, value] of Object.entries({ vocabulary, hidden, layers, heads, kvHeads, headDim, intermediate, context }))
    if (!Number.isSafeInteger(value) || value < 1) throw brokenCheckpoint(where, `${name} is ${value}`, "a whole number above 0");
  if (layers > mostLayers) throw brokenCheckpoint(where, `the decoder has ${layers} layers`, `at most ${mostLayers}`);
  if (!Number.isInteger(groupSize(config))) throw brokenCheckpoint(where, `${heads} query heads share ${kvHeads} key heads unevenly`);
  if (headDim % 2 !== 0) throw unsupportedCheckpoint(where, `a head is ${headDim} wide`, "an even width");
  if (!(normEpsilon > 0 && normEpsilon < 1)) throw brokenCheckpoint(where, `the norms' epsilon is ${normEpsilon}`, "between 0 and 1");
  if (!(rope.theta > 0 && Number.isFinite(rope.theta))) throw brokenCheckpoint(where, `RoPE's base is ${rope.theta}`, "above 0");
  return config;
}

/** @throws RLRF_CHECKPOINT_BROKEN when tensors are missing or of another shape, RLRF_CHECKPOINT_UNSUPPORTED when some would be left unused */
export function checkTensors(
  where: string,
  config: DecoderConfig,
  tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>,
): void {
  const shapes = checkpointShapes(config);
  for (const [name, shape] of shapes) {
    const found = tensors.get(name)?.shape;
    if (found === undefined) throw brokenCheckpoint(where, `there is no tensor ${name}`);
    if (found.join() !== shape.join()) throw brokenCheckpoint(where, `tensor ${name} has shape [${found}]`, `[${shape}]`);
  }
  const unused = [...tensors.keys()].filter((name) => !shapes.has(name));
  if (unused.length === 0) return;
  const some = unused.slice(0, 3).join(", ");
  throw unsupportedCheckpoint(
    where,
    `the decoder has no place for ${unused.length} of its tensors: ${some}`,
    "the tensors of Llama, Qwen 2 or Qwen 3",
  );
}
