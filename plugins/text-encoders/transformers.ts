import { access } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import type { PreTrainedModel, PreTrainedTokenizer, Tensor } from "@huggingface/transformers";
import { type Assets, assets, type Disposable, options, plugin, RlrfError, type TextEncoder } from "rlrf4rec";

interface TransformersOptions {
  readonly model: string;
  readonly dtype: keyof typeof modelFiles;
  readonly pooling: "mean" | "cls" | "last" | "model";
  readonly dimensions: number | null;
  readonly normalise: boolean;
  readonly prefix: string;
  readonly suffix: string;
  readonly maxTokens: number | null;
  readonly batchSize: number;
  readonly threads: number;
}

/** The names under which models are published, by type of their weights. */
const modelFiles = {
  q8: "model_quantized.onnx",
  int8: "model_int8.onnx",
  uint8: "model_uint8.onnx",
  q4: "model_q4.onnx",
  q4f16: "model_q4f16.onnx",
  fp16: "model_fp16.onnx",
  fp32: "model.onnx",
} as const;

/** Under these names models give vectors that they have pooled themselves. */
const pooledOutputs = ["sentence_embedding", "text_embeds", "pooler_output"];

interface Loaded {
  readonly tokenizer: PreTrainedTokenizer;
  readonly model: PreTrainedModel;
}

@plugin({
  kind: "text-encoder",
  name: "transformers",
  version: "1.1.0",
  summary: "Sentence vectors of any embedding model in ONNX (MiniLM by default), computed here by @huggingface/transformers",
  source: "Reimers and Gurevych 2019, arXiv 1908.10084; MiniLM: Wang et al. 2020, arXiv 2002.10957",
  options: {
    type: "object",
    properties: {
      model: {
        type: "string",
        minLength: 1,
        default: "all-minilm-l6-v2",
        assets: "value",
        description:
          "An asset's id, or the path (with a slash in it) of a folder with config.json, tokenizer.json, tokenizer_config.json and onnx/",
      },
      dtype: { enum: Object.keys(modelFiles), default: "q8", description: "Which weights of the folder's onnx/ to load" },
      pooling: {
        enum: ["mean", "cls", "last", "model"],
        default: "mean",
        description: `The mean of the tokens' vectors; the first token's (BGE, GTE); the last one's (decoders such as Qwen3-Embedding); or what the model itself gives as ${pooledOutputs.join(", ")}`,
      },
      dimensions: {
        type: ["integer", "null"],
        minimum: 1,
        default: null,
        unit: "numbers",
        description: "Of each vector the first so many, for models trained to be cut (Matryoshka, arXiv 2205.13147); null: all",
      },
      normalise: { type: "boolean", default: true, description: "Vectors of length 1" },
      prefix: { type: "string", default: "", description: 'Put before every text, for models that were trained so ("query: " of E5)' },
      suffix: { type: "string", default: "", description: "Put after every text" },
      maxTokens: {
        type: ["integer", "null"],
        minimum: 2,
        default: null,
        unit: "tokens",
        description: "A longer text is cut; null: at what the model reads",
      },
      batchSize: { type: "integer", minimum: 1, default: 32, unit: "texts" },
      threads: { type: "integer", minimum: 0, default: 0, description: "0 = one a core" },
    },
  },
})
export class Transformers implements TextEncoder, Disposable {
  private loading: Promise<Loaded> | undefined;

  constructor(
    @options() private readonly options: TransformersOptions,
    @assets() private readonly assets: Assets,
  ) {}

  async encode(texts: readonly string[]): Promise<{ readonly width: number; readonly vectors: Float32Array }> {
    const loaded = await this.loaded();
    // Texts of like length share a batch, so that little of it is padding.
    const order = texts.map((_, i) => i).sort((a, b) => (texts[a]?.length ?? 0) - (texts[b]?.length ?? 0));
    let width = 0;
    let vectors = new Float32Array(0);
    for (let from = 0; from < order.length; from += this.options.batchSize) {
      const rows = order.slice(from, from + this.options.batchSize);
      const batch = await this.batch(
        loaded,
        rows.map((row) => this.options.prefix + texts[row] + this.options.suffix),
      );
      if (from === 0) {
        width = batch.length / rows.length;
        vectors = new Float32Array(texts.length * width);
      }
      for (const [i, row] of rows.entries()) vectors.set(batch.subarray(i * width, (i + 1) * width), row * width);
    }
    return { width, vectors };
  }

  async dispose(): Promise<void> {
    const loading = this.loading;
    this.loading = undefined;
    await (await loading?.catch(() => undefined))?.model.dispose();
  }

  /** Loaded by the first call; a failed load is tried again by the next. */
  private loaded(): Promise<Loaded> {
    this.loading ??= this.load().catch((error) => {
      this.loading = undefined;
      throw error;
    });
    return this.loading;
  }

  /** @returns [texts, width] */
  private async batch({ tokenizer, model }: Loaded, texts: string[]): Promise<Float32Array> {
    const { maxTokens, dimensions, normalise } = this.options;
    const cut = maxTokens === null ? {} : { max_length: maxTokens };
    const inputs = tokenizer(texts, { padding: true, truncation: true, ...cut }) as { attention_mask: Tensor };
    const pooled = await this.pooled((await model(inputs)) as Readonly<Record<string, Tensor>>, inputs.attention_mask);
    const short = dimensions === null ? pooled : pooled.slice(null, [0, dimensions]);
    return (normalise ? short.normalize(2, -1) : short).data as Float32Array;
  }

  private async pooled(outputs: Readonly<Record<string, Tensor>>, mask: Tensor): Promise<Tensor> {
    const { pooling, model, dimensions } = this.options;
    const wanted = pooling === "model" ? pooledOutputs : ["last_hidden_state", "token_embeddings"];
    const output = wanted.flatMap((name) => outputs[name] ?? [])[0];
    if (output === undefined)
      throw unreadable(
        model,
        `with pooling "${pooling}" it should give ${wanted.join(" or ")}, and gives ${Object.keys(outputs).join(", ")}`,
      );
    const width = output.dims.at(-1) as number;
    if (dimensions !== null && dimensions > width)
      throw unreadable(model, `its vectors have ${width} numbers, not the ${dimensions} asked for`);
    if (pooling === "model") return output; // [texts, width]
    const { cat, mean_pooling } = await import("@huggingface/transformers");
    if (pooling === "mean") return mean_pooling(output, mask);
    return pooling === "cls" ? output.slice(null, 0) : cat(lastTokens(output, mask), 0);
  }

  private async load(): Promise<Loaded> {
    const folder = await this.folder();
    const { AutoModel, AutoTokenizer, env } = await import("@huggingface/transformers");
    env.allowRemoteModels = false;
    env.localModelPath = "/";
    try {
      const tokenizer = await AutoTokenizer.from_pretrained(folder, { local_files_only: true });
      const model = await AutoModel.from_pretrained(folder, {
        local_files_only: true,
        dtype: this.options.dtype,
        session_options: { intraOpNumThreads: this.options.threads || availableParallelism(), interOpNumThreads: 1 },
      });
      return { tokenizer, model };
    } catch (cause) {
      throw unreadable(folder, cause);
    }
  }

  private async folder(): Promise<string> {
    const { model, dtype } = this.options;
    const isPath = isAbsolute(model) || /[\\/]/.test(model);
    const folder = isPath ? resolve(model) : await this.assets.folder(model);
    for (const file of ["config.json", "tokenizer.json", "tokenizer_config.json", `onnx/${modelFiles[dtype]}`])
      await access(join(folder, file)).catch((cause) => {
        throw unreadable(join(folder, file), cause);
      });
    return folder;
  }
}

/** The vector of each text's last token that is not padding, each [1, width]. @param states [texts, tokens, width]; @param mask [texts, tokens] */
function lastTokens(states: Tensor, mask: Tensor): Tensor[] {
  const [texts, tokens] = states.dims as [number, number, number];
  const real = Array.from(mask.data as BigInt64Array, Number);
  return Array.from({ length: texts }, (_, text) => {
    const last = real.lastIndexOf(1, (text + 1) * tokens - 1) - text * tokens;
    return states.slice([text, text + 1], Math.max(0, last));
  });
}

function unreadable(where: string, cause: unknown): RlrfError {
  return new RlrfError(
    "RLRF_TEXT_MODEL",
    {
      message: `The text encoder's model cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`,
      where,
      expected: `config.json, tokenizer.json, tokenizer_config.json and onnx/{${Object.values(modelFiles).join(",")}} by \`dtype\``,
      hint: "Give `model` an asset's id (rlrf assets lists them) or the path of a folder laid out so.",
    },
    { cause },
  );
}
