import {
  type Assets,
  assets,
  type ChatMessage,
  type Disposable,
  type EngineInfo,
  engine,
  type GeneratedText,
  type GenerationParameters,
  type GenerationRequest,
  type HiddenPooling,
  type LlmBackend,
  lm,
  type OnDone,
  options,
  plugin,
  type Probe,
  type Progress,
  progress,
  RlrfError,
  type TextVectors,
  type TunablePolicy,
} from "rlrf4rec";

interface CausalLmOptions {
  readonly model: string;
  readonly template: lm.TemplateVariables;
  readonly checkpointing: "auto" | "on" | "off";
}

/**
 * p(text | prompt) = Π_t softmax(W norm(h_t)), h of blocks of x + attention(norm(x)) and x + MLP(norm(x)), with rotary positions and grouped
 * queries, as the checkpoint's config says.
 */
@plugin({
  kind: "llm",
  name: "causal-lm",
  version: "1.0.0",
  summary:
    "A published chat model (SmolLM2 by default; Llama, Qwen 2 and 3 from GGUF or safetensors), written with and tuned in this process",
  source: "Llama: Touvron et al. 2023, arXiv 2302.13971; Qwen2: arXiv 2407.10671; Qwen3: arXiv 2505.09388; SmolLM2: arXiv 2502.02737",
  tunable: true,
  hidden: true,
  options: {
    type: "object",
    properties: {
      model: {
        type: "string",
        minLength: 1,
        default: "smollm2-135m-instruct",
        assets: "value",
        description:
          "An asset's id, or the path (with a slash in it) of a .gguf file or of a folder with config.json, tokenizer.json and safetensors",
      },
      template: lm.templateVariables,
      checkpointing: {
        enum: ["auto", "on", "off"],
        default: "auto",
        description:
          "Gradient checkpointing in tuning: keep each layer's input alone and compute the rest twice, a third slower; auto: where the rest would take more than 1 GB.",
      },
    },
  },
})
export class CausalLm implements LlmBackend, Disposable {
  private loaded: lm.PublishedModel | undefined;

  constructor(
    @options() private readonly options: CausalLmOptions,
    @assets() private readonly assets: Assets,
    @engine() private readonly engine: EngineInfo,
    @progress() private readonly progress: Progress,
  ) {}

  async prepare(): Promise<void> {
    this.dispose();
    const { model, template, checkpointing } = this.options;
    const path = await lm.modelPath(model, this.assets);
    const { engine, progress } = this;
    this.loaded = await lm.loadPublishedModel(path, { engine, progress, checkpointing, template });
  }

  identity(): string {
    return `${this.ready.hash}${this.ready.model.adapterHash()}`;
  }

  get policy(): TunablePolicy {
    return this.ready.model;
  }

  generate(
    requests: readonly GenerationRequest[],
    parameters: GenerationParameters,
    onDone?: OnDone,
    signal?: AbortSignal,
  ): Promise<readonly (readonly GeneratedText[])[]> {
    return this.ready.model.generate(requests, parameters, onDone, signal);
  }

  hidden(texts: readonly string[], pooling: HiddenPooling): Promise<TextVectors> {
    return this.ready.model.hidden(texts, pooling);
  }

  probe(messages: readonly ChatMessage[], completion: string): Promise<Probe> {
    return this.ready.model.probe(messages, completion);
  }

  private get ready(): lm.PublishedModel {
    if (this.loaded === undefined) throw new RlrfError("RLRF_LLM_UNPREPARED", { message: "causal-lm answers only after `prepare`" });
    return this.loaded;
  }

  dispose(): void {
    this.loaded?.dispose();
    this.loaded = undefined;
  }
}
