/** A whole model as llama.cpp reads it: GGUF, matrices in 16 bits a number. */
import { writeAtomic } from "../store/files.js";
import { ggufNames, interleavedHalves } from "./adapter-gguf.js";
import type { Checkpoint } from "./checkpoint/checkpoint.js";
import { checkpointShapes } from "./checkpoint/checkpoint.js";
import type { TokenizerJson } from "./checkpoint/tokenizer-json.js";
import { architectureOf, type DecoderConfig } from "./config.js";
import { float32, ggufFile, uint32, type WrittenTensor, type WrittenValue } from "./gguf-file.js";
import { ropeFrequencies } from "./rotary.js";

/**
 * Writes the weights of a checkpoint of any layout. The file has its vocabulary, so that llama.cpp can load it, and no rule by which texts are cut:
 * whoever writes with it goes on tokenising with the checkpoint's own tokenizer.
 */
export async function writeModelGguf(path: string, checkpoint: Checkpoint): Promise<void> {
  const { config, tokenizer } = checkpoint;
  const architecture = architectureOf(config);
  const tensors = [...checkpointShapes(config)].map(([name, shape]): WrittenTensor => {
    const heads = /q_proj\.weight/.test(name) ? config.heads : /k_proj\.weight/.test(name) ? config.kvHeads : 0;
    const read = async () => {
      const { values } = await checkpoint.read(name);
      return architecture === "llama" && heads > 0 ? interleavedHalves(values, shape[0] ?? 0, shape[1] ?? 0, heads) : values;
    };
    return { name: ggufName(name), shape, format: shape.length > 1 ? "F16" : "F32", read };
  });
  await writeAtomic(
    path,
    ggufFile({ ...sizes(config, architecture), ...vocabulary(tokenizer, config) }, [...ropeDivisors(config), ...tensors]),
  );
}

function sizes(config: DecoderConfig, architecture: string): Readonly<Record<string, WrittenValue>> {
  const { scaling } = config.rope;
  const own: Readonly<Record<string, WrittenValue>> = {
    block_count: uint32(config.layers),
    context_length: uint32(config.context),
    embedding_length: uint32(config.hidden),
    feed_forward_length: uint32(config.intermediate),
    vocab_size: uint32(config.vocabulary),
    "attention.head_count": uint32(config.heads),
    "attention.head_count_kv": uint32(config.kvHeads),
    "attention.key_length": uint32(config.headDim),
    "attention.value_length": uint32(config.headDim),
    "attention.layer_norm_rms_epsilon": float32(config.normEpsilon),
    "rope.dimension_count": uint32(config.headDim),
    "rope.freq_base": float32(config.rope.theta),
    ...(scaling?.type === "linear" && { "rope.scaling.type": "linear", "rope.scaling.factor": float32(scaling.factor) }),
  };
  return {
    "general.architecture": architecture,
    ...Object.fromEntries(Object.entries(own).map(([key, value]) => [`${architecture}.${key}`, value])),
  };
}

/** GGUF's kinds of tokens. */
const [normal, control] = [1, 3];

function vocabulary({ model, added_tokens }: TokenizerJson, { vocabulary: count }: DecoderConfig): Readonly<Record<string, WrittenValue>> {
  const tokens = Array.from({ length: count }, (_, id) => `[unused ${id}]`); // a matrix may have more rows than there are tokens
  for (const [token, id] of Object.entries(model.vocab)) tokens[id] = token;
  const types = new Int32Array(count).fill(normal);
  for (const { id, content, special } of added_tokens) {
    tokens[id] = content;
    if (special) types[id] = control;
  }
  return {
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "gpt-2",
    "tokenizer.ggml.tokens": tokens,
    "tokenizer.ggml.token_type": types,
    "tokenizer.ggml.merges": model.merges.map((merge) => (typeof merge === "string" ? merge : merge.join(" "))),
  };
}

/** What Llama 3's scaling divides each frequency by. */
function ropeDivisors({ rope, headDim }: DecoderConfig): readonly WrittenTensor[] {
  if (rope.scaling?.type !== "llama3") return [];
  const plain = ropeFrequencies({ ...rope, scaling: null }, headDim);
  const divisors = Float32Array.from(ropeFrequencies(rope, headDim), (frequency, plane) => (plain[plane] as number) / frequency);
  return [{ name: "rope_freqs.weight", shape: [divisors.length], format: "F32", read: async () => divisors }];
}

const otherNames: Readonly<Record<string, string>> = {
  "model.embed_tokens": "token_embd",
  "model.norm": "output_norm",
  lm_head: "output",
  input_layernorm: "attn_norm",
  post_attention_layernorm: "ffn_norm",
  "self_attn.q_norm": "attn_q_norm",
  "self_attn.k_norm": "attn_k_norm",
};

function ggufName(name: string): string {
  const [, layer, part = "", kind] = /^(?:model\.layers\.(\d+)\.)?(.*)\.(weight|bias)$/.exec(name) ?? [];
  const projection = Object.entries(ggufNames).find(([published]) => part.endsWith(`.${published}`))?.[1];
  return `${layer === undefined ? "" : `blk.${layer}.`}${projection ?? otherNames[part] ?? part}.${kind}`;
}
