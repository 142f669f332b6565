/** A model in a folder as Hugging Face lays it out: config.json, safetensors in one file or several, tokenizer.json and what belongs to it. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { RlrfError } from "../../errors.js";
import { RangeFile } from "../../store/ranges.js";
import { type TensorEntry, TensorFile } from "../../store/tensors.js";
import { type DecoderConfig, type RopeScaling, traitsOf } from "../config.js";
import type { CheckpointTensor } from "../weights.js";
import { type ChatDescription, type Checkpoint, checkConfig, checkpointShapes, checkTensors, knownArchitecture } from "./checkpoint.js";
import { brokenCheckpoint, cutCheckpoint, unsupportedCheckpoint } from "./faults.js";
import type { TokenizerJson } from "./tokenizer-json.js";

type Json = Readonly<Record<string, unknown>>;

/** @throws RLRF_CHECKPOINT_BROKEN, RLRF_CHECKPOINT_UNSUPPORTED, RLRF_FILE_… */
export async function openFolder(folder: string): Promise<Checkpoint> {
  const path = (name: string) => join(folder, name);
  const config = configOf(path("config.json"), await readJson(path("config.json")));
  const tokenizer = tokenizerOf(path("tokenizer.json"), await readJson(path("tokenizer.json")));
  const { chat, sources } = await chatOf(folder, tokenizer);
  const weights = await Weights.open(folder, config);
  return {
    path: folder,
    config,
    tokenizer,
    chat,
    files: [path("config.json"), path("tokenizer.json"), ...sources, ...weights.paths],
    read: (name) => weights.read(name),
    close: () => weights.close(),
  };
}

/** Text files of a checkpoint at most; the largest tokenizer.json of today has 35 MB. */
const textLimit = 1 << 27;

async function readText(path: string): Promise<string> {
  const file = await RangeFile.open(path, () => brokenCheckpoint(path, "not a regular file"));
  try {
    if (file.size > textLimit) throw brokenCheckpoint(path, `the file has ${file.size} bytes`, `at most ${textLimit}`);
    return new TextDecoder().decode(await file.read(0, file.size, cutCheckpoint(path)));
  } finally {
    await file.close();
  }
}

async function readJson(path: string): Promise<Json> {
  const text = await readText(path);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw brokenCheckpoint(path, `it is not JSON: ${(cause as Error).message}`, undefined, cause);
  }
  if (isObject(json)) return json;
  throw brokenCheckpoint(path, "it is not a JSON object");
}

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);

class Weights {
  private constructor(
    private readonly files: ReadonlyMap<string, TensorFile>,
    private readonly tensors: ReadonlyMap<string, { readonly file: TensorFile; readonly entry: TensorEntry }>,
  ) {}

  static async open(folder: string, config: DecoderConfig): Promise<Weights> {
    const files = new Map<string, TensorFile>();
    const tensors = new Map<string, { readonly file: TensorFile; readonly entry: TensorEntry }>();
    const weights = new Weights(files, tensors);
    try {
      for (const path of await shardsOf(folder)) {
        const file = await asCheckpointFault(() => TensorFile.open(path, ["F32", "F16", "BF16"]));
        files.set(path, file);
        for (const [name, entry] of file.entries) {
          if (tensors.has(name)) throw brokenCheckpoint(path, `tensor ${name} is in two files`);
          tensors.set(name, { file, entry });
        }
      }
      weights.check(folder, config);
      return weights;
    } catch (error) {
      await weights.close();
      throw error;
    }
  }

  /** Tensors that say nothing of their own may be there: a tied head, tables of RoPE. */
  private check(folder: string, config: DecoderConfig): void {
    const needed = checkpointShapes(config);
    const idle = (name: string) => name === "lm_head.weight" || name.endsWith(".rotary_emb.inv_freq");
    const own = [...this.tensors].filter(([name]) => needed.has(name) || !idle(name));
    checkTensors(folder, config, new Map(own.map(([name, { entry }]) => [name, entry])));
  }

  get paths(): readonly string[] {
    return [...this.files.keys()];
  }

  async read(name: string): Promise<CheckpointTensor> {
    const tensor = this.tensors.get(name);
    if (tensor === undefined) throw brokenCheckpoint(this.paths.join(", "), `there is no tensor ${name}`);
    const { file, entry } = tensor;
    // Opened with these three types, which are all read as 32-bit floats.
    return { shape: entry.shape, values: (await asCheckpointFault(() => file.read(name))) as Float32Array };
  }

  async close(): Promise<void> {
    for (const file of this.files.values()) await file.close();
  }
}

async function shardsOf(folder: string): Promise<readonly string[]> {
  const index = join(folder, "model.safetensors.index.json");
  if (!existsSync(index)) return [join(folder, "model.safetensors")];
  const { weight_map: map } = await readJson(index);
  if (!isObject(map)) throw brokenCheckpoint(index, "it has no weight_map");
  const names = [...new Set(Object.values(map))];
  // A name with a slash would lead out of the folder.
  const strange = names.find((name) => typeof name !== "string" || !/^[\w.-]+\.safetensors$/.test(name));
  if (strange !== undefined || names.length === 0)
    throw brokenCheckpoint(
      index,
      `a shard is called ${JSON.stringify(strange ?? null).slice(0, 80)}`,
      "files of the same folder, *.safetensors",
    );
  return names.map((name) => join(folder, name as string));
}

/** What a safetensors file lacks is the user's model's fault, not the run's own store's. */
async function asCheckpointFault<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof RlrfError) || !error.code.startsWith("RLRF_TENSORS_")) throw error;
    const { where = "", message, expected } = error.fault;
    if (error.code === "RLRF_TENSORS_DTYPE") throw unsupportedCheckpoint(where, message, expected ?? "");
    throw brokenCheckpoint(where, message, expected, error);
  }
}

function configOf(where: string, json: Json): DecoderConfig {
  const family = knownArchitecture(where, "model_type", json.model_type);
  refuse(where, json, { hidden_act: "silu", mlp_bias: false, attention_bias: false, use_sliding_window: false, partial_rotary_factor: 1 });
  const [hidden, heads] = [number(where, json, "hidden_size"), number(where, json, "num_attention_heads")];
  return checkConfig(where, {
    vocabulary: number(where, json, "vocab_size"),
    hidden,
    layers: number(where, json, "num_hidden_layers"),
    heads,
    kvHeads: number(where, json, "num_key_value_heads", heads),
    headDim: number(where, json, "head_dim", hidden / heads),
    intermediate: number(where, json, "intermediate_size"),
    context: number(where, json, "max_position_embeddings"),
    normEpsilon: number(where, json, "rms_norm_eps"),
    rope: ropeOf(where, json),
    tiedHead: json.tie_word_embeddings === true,
    ...traitsOf(family),
  });
}

/** Keys whose other values would need another decoder. */
function refuse(where: string, json: Json, computed: Readonly<Record<string, unknown>>): void {
  for (const [key, value] of Object.entries(computed)) {
    const found = json[key];
    if (found !== undefined && found !== null && found !== value)
      throw unsupportedCheckpoint(where, `${key} is ${JSON.stringify(found).slice(0, 40)}`, JSON.stringify(value));
  }
}

function number(where: string, json: Json, key: string, otherwise?: number): number {
  const value = json[key] ?? otherwise;
  if (typeof value === "number") return value;
  throw brokenCheckpoint(where, `${key} is ${JSON.stringify(value ?? null).slice(0, 40)}`, "a number");
}

/** `rope_theta` and `rope_scaling`, or both in `rope_parameters` (transformers 5). */
function ropeOf(where: string, json: Json): DecoderConfig["rope"] {
  const together = isObject(json.rope_parameters) ? json.rope_parameters : {};
  const scaling = isObject(json.rope_scaling) ? json.rope_scaling : together;
  const theta = number(where, { ...json, ...together }, "rope_theta", 10_000);
  return { theta, scaling: scalingOf(where, scaling) };
}

function scalingOf(where: string, json: Json): RopeScaling | null {
  const type = json.rope_type ?? json.type ?? "default";
  const factor = (key: string) => {
    const value = number(where, json, key);
    if (value > 0 && Number.isFinite(value)) return value;
    throw brokenCheckpoint(where, `RoPE's ${key} is ${value}`, "above 0");
  };
  if (type === "default") return null;
  if (type === "linear") return { type, factor: factor("factor") };
  if (type === "llama3")
    return {
      type,
      factor: factor("factor"),
      lowFrequencyFactor: factor("low_freq_factor"),
      highFrequencyFactor: factor("high_freq_factor"),
      originalContext: factor("original_max_position_embeddings"),
    };
  throw unsupportedCheckpoint(where, `its RoPE is scaled by ${JSON.stringify(type).slice(0, 40)}`, "default, linear, llama3");
}

function tokenizerOf(where: string, json: Json): TokenizerJson {
  const step = (key: string) => (isObject(json[key]) ? json[key] : null);
  const { model } = json;
  if (!isObject(model) || !isObject(model.vocab) || !Array.isArray(model.merges))
    throw brokenCheckpoint(where, "it has no model with vocab and merges");
  const added = json.added_tokens ?? [];
  const sound = (token: unknown) =>
    isObject(token) && Number.isSafeInteger(token.id) && typeof token.content === "string" && token.content !== "";
  if (!Array.isArray(added) || !added.every(sound)) throw brokenCheckpoint(where, "its added_tokens are not tokens with id and content");
  if (!Object.values(model.vocab).every((id) => Number.isSafeInteger(id) && (id as number) >= 0))
    throw brokenCheckpoint(where, "a token of its vocab has no number");
  return {
    ...json,
    added_tokens: added,
    normalizer: step("normalizer"),
    pre_tokenizer: step("pre_tokenizer"),
    decoder: step("decoder"),
    model,
  } as unknown as TokenizerJson;
}

async function chatOf(
  folder: string,
  tokenizer: TokenizerJson,
): Promise<{ readonly chat: ChatDescription; readonly sources: readonly string[] }> {
  const sources = ["tokenizer_config.json", "generation_config.json", "chat_template.jinja"]
    .map((name) => join(folder, name))
    .filter(existsSync);
  const optional = async (name: string) => (sources.includes(join(folder, name)) ? await readJson(join(folder, name)) : {});
  const config = await optional("tokenizer_config.json");
  const generation = await optional("generation_config.json");
  const jinja = join(folder, "chat_template.jinja");
  const ids = new Map(tokenizer.added_tokens.map(({ content, id }) => [content, id]));
  const content = (token: unknown) => (isObject(token) ? token.content : token);
  const variables = Object.entries(config)
    .filter(([key]) => key.endsWith("_token"))
    .map(([key, token]) => [key, content(token)] as const)
    .filter((entry): entry is readonly [string, string] => typeof entry[1] === "string");
  const named = ids.get(String(content(config.eos_token)));
  const listed = [generation.eos_token_id].flat().filter((id): id is number => Number.isSafeInteger(id));
  return {
    chat: {
      template: sources.includes(jinja) ? await readText(jinja) : templateOf(config.chat_template),
      variables: Object.fromEntries(variables),
      endTokens: [...new Set([...(named === undefined ? [] : [named]), ...listed])],
    },
    sources,
  };
}

/** One template, or several with names. */
function templateOf(value: unknown): string | null {
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) return null;
  const named = value.filter(isObject);
  const chosen = named.find(({ name }) => name === "default") ?? named[0];
  return typeof chosen?.template === "string" ? chosen.template : null;
}
