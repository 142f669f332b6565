/** A model in one GGUF file, as llama.cpp's converter writes it. */
import { RangeFile } from "../../store/ranges.js";
import { type Architecture, type DecoderConfig, type RopeScaling, traitsOf } from "../config.js";
import { ropeFrequencies } from "../rotary.js";
import type { CheckpointTensor } from "../weights.js";
import {
  type ChatDescription,
  type Checkpoint,
  type CheckpointLanguage,
  checkConfig,
  checkTensors,
  knownArchitecture,
} from "./checkpoint.js";
import { brokenCheckpoint, cutCheckpoint, quoted, unsupportedCheckpoint } from "./faults.js";
import { type GgufHeader, type GgufTensor, readGgufHeader, readGgufMetadata } from "./gguf.js";
import type { GgufMetadata } from "./gguf-metadata.js";
import { tokenizerOfGguf } from "./tokenizer-json.js";

/** @throws RLRF_CHECKPOINT_BROKEN, RLRF_CHECKPOINT_UNSUPPORTED, RLRF_FILE_… */
export async function openGguf(path: string): Promise<Checkpoint> {
  const file = await openFile(path);
  try {
    const header = await readGgufHeader(file);
    const architecture = knownArchitecture(path, "architecture", header.metadata.text("general.architecture"));
    const language = languageOf(header.metadata);
    const tensors = renamed(path, header);
    const config = configOf(header.metadata, architecture, tensors, await ropeDivisors(file, header));
    checkTensors(path, config, tensors);
    const permuted = architecture === "llama";
    const read = async (name: string): Promise<CheckpointTensor> => {
      const tensor = tensors.get(name);
      if (tensor === undefined) throw brokenCheckpoint(path, `there is no tensor ${name}`);
      const values = await readValues(file, tensor);
      return {
        shape: tensor.shape,
        values: permuted && /[qk]_proj/.test(name) ? halvesApart(values, tensor.shape[0] as number, config.headDim) : values,
      };
    };
    return { ...language, config, read, close: () => file.close() };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Of a model that is computed elsewhere: its architecture and the formats of its tensors may be any. @throws as `openGguf` */
export async function readGgufLanguage(path: string): Promise<CheckpointLanguage> {
  const file = await openFile(path);
  try {
    return languageOf(await readGgufMetadata(file));
  } finally {
    await file.close();
  }
}

function openFile(path: string): Promise<RangeFile> {
  return RangeFile.open(path, () => brokenCheckpoint(path, "not a regular file"));
}

function languageOf(metadata: GgufMetadata): CheckpointLanguage {
  const { path } = metadata;
  return { path, tokenizer: tokenizerOfGguf(metadata), chat: chatOf(metadata), files: [path] };
}

/** Blocks read at once: of two copies of a tensor, the one in the file's form stays small. */
const chunkBytes = 1 << 23;

async function readValues(file: RangeFile, { format, begin, bytes }: GgufTensor): Promise<Float32Array> {
  const values = new Float32Array((bytes / format.bytes) * format.block);
  const chunk = new Uint8Array(Math.min(bytes, Math.floor(chunkBytes / format.bytes) * format.bytes));
  for (let done = 0; done < bytes; done += chunk.length) {
    const part = chunk.subarray(0, Math.min(chunk.length, bytes - done));
    await file.readInto(part, begin + done, cutCheckpoint(file.path));
    const first = (done / format.bytes) * format.block;
    format.decode(part, values.subarray(first, first + (part.length / format.bytes) * format.block));
  }
  return values;
}

/**
 * llama.cpp's converter pairs the rows of each query and key head for its own RoPE (rows 0, d/2, 1, d/2 + 1, …); this puts the
 * first halves of the pairs before the second ones again.
 */
function halvesApart(values: Float32Array, rows: number, headDim: number): Float32Array {
  const width = values.length / rows;
  const apart = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    const within = row % headDim;
    const half = headDim / 2;
    const paired = row - within + (within < half ? 2 * within : 2 * (within - half) + 1);
    apart.set(values.subarray(paired * width, (paired + 1) * width), row * width);
  }
  return apart;
}

const globalNames: Readonly<Record<string, string>> = {
  "token_embd.weight": "model.embed_tokens.weight",
  "output_norm.weight": "model.norm.weight",
  "output.weight": "lm_head.weight",
};
const layerNames: Readonly<Record<string, string>> = {
  attn_norm: "input_layernorm",
  attn_q: "self_attn.q_proj",
  attn_k: "self_attn.k_proj",
  attn_v: "self_attn.v_proj",
  attn_output: "self_attn.o_proj",
  attn_q_norm: "self_attn.q_norm",
  attn_k_norm: "self_attn.k_norm",
  ffn_norm: "post_attention_layernorm",
  ffn_gate: "mlp.gate_proj",
  ffn_up: "mlp.up_proj",
  ffn_down: "mlp.down_proj",
};
/** Llama 3's scaling of RoPE: a divisor a frequency. */
const ropeFactors = "rope_freqs.weight";

/** Tensors under Hugging Face's names; what has none keeps its own. */
function renamed(path: string, { tensors }: GgufHeader): ReadonlyMap<string, GgufTensor> {
  const names = new Map<string, GgufTensor>();
  for (const [name, tensor] of tensors) {
    if (name === ropeFactors) continue;
    const [, layer, part = "", kind] = /^blk\.(\d{1,4})\.(\w+)\.(weight|bias)$/.exec(name) ?? [];
    const known = layer === undefined ? globalNames[name] : layerNames[part] && `model.layers.${Number(layer)}.${layerNames[part]}.${kind}`;
    if (names.has(known ?? name)) throw brokenCheckpoint(path, `two tensors are ${known ?? name}`);
    names.set(known ?? name, tensor);
  }
  return names;
}

function configOf(
  metadata: GgufMetadata,
  architecture: Architecture,
  tensors: ReadonlyMap<string, GgufTensor>,
  divisors: readonly number[] | null,
): DecoderConfig {
  const { path } = metadata;
  const number = (key: string, otherwise?: number) => metadata.number(`${architecture}.${key}`, otherwise);
  const [hidden, heads] = [number("embedding_length"), number("attention.head_count")];
  const headDim = number("attention.key_length", hidden / heads);
  const theta = number("rope.freq_base", 10_000);
  const rotated = number("rope.dimension_count", headDim);
  if (rotated !== headDim) throw unsupportedCheckpoint(path, `RoPE turns ${rotated} of a head's ${headDim} features`, "all of them");
  const values = number("attention.value_length", headDim);
  if (values !== headDim) throw unsupportedCheckpoint(path, `keys are ${headDim} wide and values ${values}`, "one width");
  if (number("expert_count", 0) !== 0) throw unsupportedCheckpoint(path, "it is a mixture of experts", "one feed-forward a layer");
  return checkConfig(path, {
    vocabulary: tensors.get("model.embed_tokens.weight")?.shape[0] ?? 0,
    hidden,
    layers: number("block_count"),
    heads,
    kvHeads: number("attention.head_count_kv", heads),
    headDim,
    intermediate: number("feed_forward_length"),
    context: number("context_length"),
    normEpsilon: number("attention.layer_norm_rms_epsilon"),
    rope: { theta, scaling: divisors === null ? scalingOf(metadata, architecture) : llama3Of(path, theta, headDim, divisors) },
    tiedHead: !tensors.has("lm_head.weight"),
    // As in a folder's config.json: what an adapter or a copy is written as has to be what the file was.
    ...traitsOf(architecture),
  });
}

function scalingOf(metadata: GgufMetadata, architecture: Architecture): RopeScaling | null {
  const { path } = metadata;
  const type = metadata.text(`${architecture}.rope.scaling.type`) ?? "none";
  if (type === "none") return null;
  if (type !== "linear") throw unsupportedCheckpoint(path, `its RoPE is scaled by ${quoted(type)}`, "none, linear, or Llama 3's");
  const factor = metadata.number(`${architecture}.rope.scaling.factor`);
  if (!(factor > 0 && Number.isFinite(factor))) throw brokenCheckpoint(path, `RoPE is scaled by ${factor}`);
  return { type: "linear", factor };
}

/** Llama 3's scaling, which GGUF files keep as a divisor a frequency: only the factor differs from model to model. */
function llama3Of(path: string, theta: number, headDim: number, divisors: readonly number[]): RopeScaling {
  const scaling = {
    type: "llama3",
    factor: Math.max(...divisors),
    lowFrequencyFactor: 1,
    highFrequencyFactor: 4,
    originalContext: 8192,
  } as const;
  const plain = ropeFrequencies({ theta, scaling: null }, headDim);
  const scaled = ropeFrequencies({ theta, scaling }, headDim);
  const same = (divisor: number, plane: number) => Math.abs((divisor * (scaled[plane] as number)) / (plain[plane] as number) - 1) < 1e-4;
  if (divisors.length === plain.length && divisors.every(same)) return scaling;
  throw unsupportedCheckpoint(path, `its RoPE is divided by ${ropeFactors} in another way than Llama 3's`, "none, linear, or Llama 3's");
}

async function ropeDivisors(file: RangeFile, { tensors }: GgufHeader): Promise<readonly number[] | null> {
  const tensor = tensors.get(ropeFactors);
  if (tensor === undefined) return null;
  if (tensor.bytes > 1 << 16) throw brokenCheckpoint(file.path, `tensor ${ropeFactors} has ${tensor.bytes} bytes`);
  return [...(await readValues(file, tensor))];
}

function chatOf(metadata: GgufMetadata): ChatDescription {
  const tokens = metadata.texts("tokenizer.ggml.tokens");
  const id = (kind: string) => metadata.number(`tokenizer.ggml.${kind}_token_id`, -1);
  const variables = ["bos", "eos"].flatMap((kind) => {
    const token = tokens[id(kind)];
    return token === undefined ? [] : [[`${kind}_token`, token]];
  });
  return {
    template: metadata.text("tokenizer.chat_template") ?? null,
    variables: Object.fromEntries(variables),
    endTokens: ["eos", "eot", "eom"].map(id).filter((token) => tokens[token] !== undefined),
  };
}
