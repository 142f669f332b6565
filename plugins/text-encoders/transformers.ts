import { access } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import type { PreTrainedModel, PreTrainedTokenizer, Tensor } from "@huggingface/transformers";
import { type Assets, assets, type Disposable, options, plugin, RlrfError, type TextEncoder } from "rlrf4rec";

interface TransformersOptions {
  readonly model: string;
  readonly dtype: keyof typeof modelFiles;
  readonly pooling: "mean" | "cls";
  readonly normalise: boolean;
  readonly prefix: string;
  readonly batchSize: number;
  readonly threads: number;
}

/** The names under which models are published, by type of their weights. */
const modelFiles = { q8: "model_quantized.onnx", fp16: "model_fp16.onnx", fp32: "model.onnx" } as const;

interface Loaded {
  readonly tokenizer: PreTrainedTokenizer;
  readonly model: PreTrainedModel;
}

@plugin({
  kind: "text-encoder",
  name: "transformers",
  version: "1.0.0",
  summary: "Sentence vectors of a BERT-like model in ONNX (MiniLM by default), computed here by @huggingface/transformers",
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
      dtype: { enum: ["q8", "fp16", "fp32"], default: "q8", description: "Which weights of the folder's onnx/ to load" },
      pooling: { enum: ["mean", "cls"], default: "mean", description: "The mean of the tokens' vectors, or the first token's" },
      normalise: { type: "boolean", default: true, description: "Vectors of length 1" },
      prefix: { type: "string", default: "", description: "Put before every text, for models that were trained so" },
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
        rows.map((row) => this.options.prefix + texts[row]),
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
    const inputs = tokenizer(texts, { padding: true, truncation: true }) as { attention_mask: Tensor };
    const { last_hidden_state: hidden } = (await model(inputs)) as { last_hidden_state: Tensor }; // [texts, tokens, width]
    const { mean_pooling } = await import("@huggingface/transformers");
    const pooled = this.options.pooling === "mean" ? mean_pooling(hidden, inputs.attention_mask) : hidden.slice(null, 0);
    const vectors = (this.options.normalise ? pooled.normalize(2, -1) : pooled).data as Float32Array;
    return vectors;
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
