/** Small published models, as files: random weights under a tokenizer of bytes and some merges. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkpointShapes } from "../../framework/language-model/checkpoint/checkpoint.js";
import type { TokenizerJson } from "../../framework/language-model/checkpoint/tokenizer-json.js";
import { visibleBytes } from "../../framework/language-model/tokenizer-files.js";
import type { DecoderConfig } from "../../framework/language-model/config.js";
import { createRng } from "../../framework/rng.js";
import { writeTensors } from "../../framework/store/tensors.js";
import { testConfig } from "./decoder.js";

const special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
const template =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
const merges = ["G e", "n r", "Ge nr", "Genr e", "Ġ D", "r a", "m a", "ra ma", "ĠD rama"];

const tokens = [...special, ...visibleBytes, ...merges.map((merge) => merge.replace(" ", ""))];

export const smallConfig = (changes: Partial<DecoderConfig> = {}) => testConfig({ vocabulary: tokens.length, ...changes });

type Matrices = ReadonlyMap<string, { readonly shape: readonly number[]; readonly values: Float32Array }>;

/** Weights under Hugging Face's names. */
export function smallWeights(config: DecoderConfig): Matrices {
  return new Map(
    [...checkpointShapes(config)].map(([name, shape]) => {
      const rng = createRng("small checkpoint", name);
      const size = shape.reduce((a, b) => a * b, 1);
      const values = Float32Array.from({ length: size }, () => (name.includes("norm") ? 1 : 0.3 * rng.normal()));
      return [name, { shape, values }];
    }),
  );
}

/** A folder in Hugging Face's layout. */
export async function writeFolder(folder: string, config = smallConfig()): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const json = (name: string, value: unknown) => writeFileSync(join(folder, name), JSON.stringify(value));
  json("config.json", {
    model_type: config.qkNorm ? "qwen3" : config.qkvBias ? "qwen2" : "llama",
    vocab_size: config.vocabulary,
    hidden_size: config.hidden,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.kvHeads,
    head_dim: config.headDim,
    intermediate_size: config.intermediate,
    max_position_embeddings: config.context,
    rms_norm_eps: config.normEpsilon,
    rope_theta: config.rope.theta,
    tie_word_embeddings: config.tiedHead,
    hidden_act: "silu",
  });
  json("tokenizer.json", smallTokenizer);
  json("tokenizer_config.json", { eos_token: "<|im_end|>", bos_token: "<|endoftext|>", chat_template: template });
  await writeTensors(join(folder, "model.safetensors"), Object.fromEntries(smallWeights(config)));
  return folder;
}

const smallTokenizer: TokenizerJson = {
  version: "1.0",
  added_tokens: special.map((content, id) => ({ id, content, special: true })),
  normalizer: null,
  pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
  post_processor: null,
  decoder: { type: "ByteLevel" },
  model: { type: "BPE", vocab: Object.fromEntries(tokens.map((token, id) => [token, id])), merges },
};

const ggufNames: Readonly<Record<string, string>> = {
  "model.embed_tokens": "token_embd",
  "model.norm": "output_norm",
  lm_head: "output",
  input_layernorm: "attn_norm",
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.o_proj": "attn_output",
  "self_attn.q_norm": "attn_q_norm",
  "self_attn.k_norm": "attn_k_norm",
  post_attention_layernorm: "ffn_norm",
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down",
};

function ggufName(name: string): string {
  const [, layer, part, kind] = /^(?:model\.layers\.(\d+)\.)?(.*)\.(weight|bias)$/.exec(name) ?? [];
  return `${layer === undefined ? "" : `blk.${layer}.`}${ggufNames[part ?? ""]}.${kind}`;
}

export interface GgufTensorBytes {
  readonly name: string;
  /** Innermost first, as the format writes it. */
  readonly sides: readonly number[];
  readonly type: number;
  readonly data: Uint8Array;
}

const u32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const u64 = (value: number | bigint) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};
const f32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
};
const text = (value: string) => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);

type Metadata = Readonly<Record<string, Buffer>>;
export const gguf = {
  text: (value: string) => Buffer.concat([u32(8), text(value)]),
  u32: (value: number) => Buffer.concat([u32(4), u32(value)]),
  f32: (value: number) => Buffer.concat([u32(6), f32(value)]),
  texts: (values: readonly string[]) => Buffer.concat([u32(9), u32(8), u64(values.length), ...values.map(text)]),
  i32s: (values: readonly number[]) => Buffer.concat([u32(9), u32(5), u64(values.length), Buffer.from(Int32Array.from(values).buffer)]),
};

/** The bytes of a GGUF file. */
export function ggufBytes(metadata: Metadata, tensors: readonly GgufTensorBytes[]): Buffer {
  const parts: Uint8Array[] = [Buffer.from("GGUF"), u32(3), u64(tensors.length), u64(Object.keys(metadata).length)];
  for (const [key, value] of Object.entries(metadata)) parts.push(text(key), value);
  let offset = 0;
  const aligned = (length: number) => Math.ceil(length / 32) * 32;
  for (const { name, sides, type, data } of tensors) {
    parts.push(text(name), u32(sides.length), ...sides.map(u64), u32(type), u64(offset));
    offset += aligned(data.length);
  }
  const head = Buffer.concat(parts);
  const padded = (bytes: Uint8Array) => Buffer.concat([bytes, Buffer.alloc(aligned(bytes.length) - bytes.length)]);
  return Buffer.concat([padded(head), ...tensors.map(({ data }) => padded(data))]);
}

export function ggufMetadata(config: DecoderConfig, architecture: string): Metadata {
  const own = (name: string) => `${architecture}.${name}`;
  return {
    "general.architecture": gguf.text(architecture),
    [own("block_count")]: gguf.u32(config.layers),
    [own("context_length")]: gguf.u32(config.context),
    [own("embedding_length")]: gguf.u32(config.hidden),
    [own("feed_forward_length")]: gguf.u32(config.intermediate),
    [own("attention.head_count")]: gguf.u32(config.heads),
    [own("attention.head_count_kv")]: gguf.u32(config.kvHeads),
    [own("attention.key_length")]: gguf.u32(config.headDim),
    [own("attention.layer_norm_rms_epsilon")]: gguf.f32(config.normEpsilon),
    [own("rope.freq_base")]: gguf.f32(config.rope.theta),
    "tokenizer.ggml.model": gguf.text("gpt2"),
    "tokenizer.ggml.pre": gguf.text("gpt-2"),
    "tokenizer.ggml.tokens": gguf.texts(tokens),
    "tokenizer.ggml.token_type": gguf.i32s(tokens.map((_, id) => (id < special.length ? 3 : 1))),
    "tokenizer.ggml.merges": gguf.texts(merges),
    "tokenizer.ggml.eos_token_id": gguf.u32(2),
    "tokenizer.chat_template": gguf.text(template),
  };
}

/** Tensors as llama.cpp's converter writes them: float32, innermost side first, rows of q and k paired for `llama`. */
export function ggufTensors(config: DecoderConfig, architecture: string): readonly GgufTensorBytes[] {
  return [...smallWeights(config)].map(([name, { shape, values }]) => {
    const ordered = architecture === "llama" && /[qk]_proj/.test(name) ? paired(values, shape[0] ?? 1, config.headDim) : values;
    return { name: ggufName(name), sides: [...shape].reverse(), type: 0, data: new Uint8Array(ordered.buffer) };
  });
}

/** Row 2i of a head is its row i, row 2i + 1 its row i + headDim / 2. */
function paired(values: Float32Array, rows: number, headDim: number): Float32Array {
  const width = values.length / rows;
  const result = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    const [head, within] = [Math.floor(row / headDim), row % headDim];
    const from = head * headDim + (within % 2 === 0 ? within / 2 : headDim / 2 + (within - 1) / 2);
    result.set(values.subarray(from * width, (from + 1) * width), row * width);
  }
  return result;
}

/** A GGUF file of the same weights and tokenizer as `writeFolder`'s. */
export function writeGguf(path: string, config = smallConfig(), architecture = "llama"): string {
  writeFileSync(path, ggufBytes(ggufMetadata(config, architecture), ggufTensors(config, architecture)));
  return path;
}
