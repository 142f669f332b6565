/** A decoder in Hugging Face's layout: config.json, generation_config.json and model.safetensors under the published names. */
import { join } from "node:path";
import type * as tf from "@tensorflow/tfjs-core";
import { writeJson } from "../store/files.js";
import { type StoredTensor, writeTensors } from "../store/tensors.js";
import { type Architecture, architectureOf, type DecoderConfig, type RopeConfig } from "./config.js";
import { fusedProjections, publishedProjection, turnedColumns } from "./published-names.js";
import type { DecoderWeights, LayerWeights, Projection } from "./weights.js";

/** Ids of tokens with a role, for generation. */
export interface SpecialTokens {
  readonly ends: readonly number[];
  readonly padding: number;
}

export async function writeModel(folder: string, config: DecoderConfig, weights: DecoderWeights, tokens: SpecialTokens): Promise<void> {
  const roles = { bos_token_id: null, eos_token_id: tokens.ends[0], pad_token_id: tokens.padding };
  await writeJson(join(folder, "config.json"), { ...publishedConfig(config), ...roles });
  await writeJson(join(folder, "generation_config.json"), { ...roles, eos_token_id: tokens.ends });
  await writeTensors(join(folder, "model.safetensors"), await publishedTensors(config, weights));
}

/** Of transformers. */
const classNames: Readonly<Record<Architecture, string>> = {
  llama: "LlamaForCausalLM",
  qwen2: "Qwen2ForCausalLM",
  qwen3: "Qwen3ForCausalLM",
};

/** config.json of the published architecture that a decoder is of. */
export function publishedConfig(config: DecoderConfig): Record<string, unknown> {
  const architecture = architectureOf(config);
  return {
    architectures: [classNames[architecture]],
    model_type: architecture,
    vocab_size: config.vocabulary,
    hidden_size: config.hidden,
    intermediate_size: config.intermediate,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.kvHeads,
    head_dim: config.headDim,
    max_position_embeddings: config.context,
    rms_norm_eps: config.normEpsilon,
    hidden_act: "silu",
    tie_word_embeddings: config.tiedHead,
    attention_bias: false,
    attention_dropout: 0,
    mlp_bias: false,
    use_sliding_window: false,
    ...publishedRope(config.rope),
    torch_dtype: "float32",
  };
}

/** In the form of transformers 5 (`rope_parameters`), and in that of 4 and of most other readers. */
function publishedRope({ theta, scaling }: RopeConfig): Record<string, unknown> {
  const scaled =
    scaling === null
      ? null
      : scaling.type === "linear"
        ? { rope_type: "linear", factor: scaling.factor }
        : {
            rope_type: "llama3",
            factor: scaling.factor,
            low_freq_factor: scaling.lowFrequencyFactor,
            high_freq_factor: scaling.highFrequencyFactor,
            original_max_position_embeddings: scaling.originalContext,
          };
  return { rope_theta: theta, rope_scaling: scaled, rope_parameters: { rope_theta: theta, ...(scaled ?? { rope_type: "default" }) } };
}

async function publishedTensors(config: DecoderConfig, weights: DecoderWeights): Promise<Record<string, StoredTensor>> {
  const tensors: Record<string, StoredTensor> = { "model.embed_tokens.weight": await stored(weights.embedding) };
  for (const [index, layer] of weights.layers.entries()) Object.assign(tensors, await layerTensors(config, layer, index));
  tensors["model.norm.weight"] = await stored(weights.norm);
  if (weights.head !== undefined) {
    const { hidden, vocabulary } = config;
    const values = turnedColumns(await weights.head.data<"float32">(), hidden, vocabulary);
    tensors["lm_head.weight"] = { shape: [vocabulary, hidden], values };
  }
  return tensors;
}

async function layerTensors(config: DecoderConfig, layer: LayerWeights, index: number): Promise<Record<string, StoredTensor>> {
  const prefix = `model.layers.${index}`;
  const projections = fusedProjections(config);
  const tensors: Record<string, StoredTensor> = {
    [`${prefix}.input_layernorm.weight`]: await stored(layer.inputNorm),
    [`${prefix}.post_attention_layernorm.weight`]: await stored(layer.postNorm),
  };
  for (const [projection, { inputs, width, parts }] of Object.entries(projections)) {
    const fused = await layer[projection as Projection].data<"float32">();
    for (const part of parts) {
      const values = turnedColumns(fused, inputs, width, part.from, part.width);
      tensors[`${publishedProjection(index, part.name)}.weight`] = { shape: [part.width, inputs], values };
    }
  }
  const bias = await layer.qkvBias?.data<"float32">();
  if (bias !== undefined)
    for (const { name, from, width } of projections.qkv.parts)
      tensors[`${publishedProjection(index, name)}.bias`] = { shape: [width], values: bias.slice(from, from + width) };
  const norms = await layer.qkNorm?.data<"float32">(); // a row a head, all query rows alike, then all key rows
  if (norms !== undefined) {
    const { heads, headDim } = config;
    const row = (head: number) => ({ shape: [headDim], values: norms.slice(head * headDim, (head + 1) * headDim) });
    tensors[`${prefix}.self_attn.q_norm.weight`] = row(0);
    tensors[`${prefix}.self_attn.k_norm.weight`] = row(heads);
  }
  return tensors;
}

async function stored(tensor: tf.Tensor): Promise<StoredTensor> {
  return { shape: tensor.shape, values: await tensor.data<"float32">() };
}
