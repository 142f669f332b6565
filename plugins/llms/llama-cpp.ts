import { availableParallelism } from "node:os";
import { join } from "node:path";
import {
  type AdapterFiles,
  type Assets,
  assets,
  type ChatMessage,
  type Disposable,
  type GeneratedText,
  type GenerationParameters,
  type GenerationRequest,
  type LlmBackend,
  lm,
  type ModelFiles,
  type Logger,
  logger,
  type OnDone,
  options,
  plugin,
  type Probe,
  RlrfError,
} from "rlrf4rec";
import {
  type Device,
  failing,
  type Llama,
  type LlamaContext,
  type LlamaModel,
  type NativeLora,
  openLlama,
  peer,
} from "./llama-cpp/binding.js";
import { Generation, ownSequences } from "./llama-cpp/lanes.js";
import { logProbsOf } from "./llama-cpp/log-probs.js";
import { candidatesFor, ThreadCount } from "./llama-cpp/threads.js";

interface LlamaCppOptions {
  readonly model: string | null;
  readonly template: lm.TemplateVariables;
  readonly device: Device;
  readonly sequences: number;
  readonly threads: number;
}

interface Loaded {
  readonly llama: Llama;
  readonly model: LlamaModel;
  readonly codec: lm.ChatCodec;
  /** Tokens of a sequence at most. */
  readonly context: number;
  /** Names the weights. */
  readonly hash: string;
}

/** Of the prompts that are computed at once, tokens. */
const batch = 512;
/** Sequences are this long at least, and grow by it: a context that is made anew costs a second. */
const contextStep = 256;

@plugin({
  kind: "llm",
  name: "llama-cpp",
  version: "1.0.0",
  summary: "llama.cpp in this process, on a GGUF file: samples beside an LLM that is tuned here (needs node-llama-cpp)",
  source: "llama.cpp through node-llama-cpp 3.22.1; top-p counts before the temperature, as everywhere in llama.cpp",
  takesAdapters: true,
  takesWeights: { model: null },
  options: {
    type: "object",
    properties: {
      model: {
        type: ["string", "null"],
        minLength: 1,
        default: "smollm2-135m-instruct",
        assets: "value",
        description:
          "An asset's id, or the path (with a slash in it) of a .gguf file or of a folder with one; null, for llm.sampler: the LLM's own weights, in 16 bits a number",
      },
      template: lm.templateVariables,
      device: {
        enum: ["auto", "cpu", "cuda", "vulkan", "metal"],
        default: "auto",
        description: "Where it computes; auto: the fastest that has a binary and works here.",
      },
      sequences: {
        type: "integer",
        minimum: 1,
        maximum: 254,
        default: 64,
        unit: "texts",
        description: "Written at once; each keeps its keys and values in memory.",
      },
      threads: {
        type: "integer",
        minimum: 0,
        default: 0,
        unit: "threads",
        description: "0: as many of one to all cores as are fastest, tried now and then: where others compute too, fewer are.",
      },
    },
  },
})
export class LlamaCpp implements LlmBackend, Disposable {
  readonly useModel?: (model: ModelFiles) => Promise<void>;
  private llama: Llama | undefined;
  private loaded: Loaded | undefined;
  private opened: { readonly context: LlamaContext; readonly length: number } | undefined;
  private readonly threads: ThreadCount;
  private adapter: { readonly lora: NativeLora; readonly identity: string } | undefined;

  constructor(
    @options() private readonly options: LlamaCppOptions,
    @assets() private readonly assets: Assets,
    @logger() private readonly logger: Logger,
  ) {
    this.threads = new ThreadCount(options.threads === 0 ? candidatesFor(availableParallelism()) : [options.threads]);
    if (options.model === null)
      this.useModel = async ({ folder }) => {
        if (this.llama === undefined) throw unprepared();
        const checkpoint = await lm.openCheckpoint(folder);
        this.loaded = await this.load(this.llama, checkpoint, join(folder, "model.gguf")).finally(() => checkpoint.close());
      };
  }

  async prepare(): Promise<void> {
    await this.dispose();
    this.llama = await openLlama(this.options.device, this.options.threads, this.logger);
    const { model } = this.options;
    if (model === null) return;
    const file = await ggufOf(await lm.modelPath(model, this.assets));
    this.loaded = await this.load(this.llama, await lm.readGgufLanguage(file), file);
  }

  /** @param file of the weights @throws RLRF_LLAMA_CPP, RLRF_CHECKPOINT_… */
  private async load(llama: Llama, language: lm.CheckpointLanguage, file: string): Promise<Loaded> {
    const codec = lm.codecOf(language, this.options.template);
    const hash = await lm.checkpointHash(language);
    const hint = "check options.model; a file of a newer form than the package's llama.cpp knows has to be converted again";
    const model = await failing(`llama.cpp cannot load ${file}`, hint, () =>
      llama.loadModel({ modelPath: file, ...(this.options.device === "cpu" && { gpuLayers: 0 }) }),
    );
    return { llama, model, codec, context: model.trainContextSize, hash };
  }

  /** The file, what computes it, and the adapter. */
  identity(): string {
    const { llama, hash } = this.ready;
    return `${peer.name} ${peer.version} ${llama.gpu || "cpu"} ${hash} ${this.adapter?.identity ?? ""}`;
  }

  async generate(
    requests: readonly GenerationRequest[],
    parameters: GenerationParameters,
    onDone: OnDone = () => {},
    signal?: AbortSignal,
  ): Promise<readonly (readonly GeneratedText[])[]> {
    const { codec, model, llama, context: longest } = this.ready;
    const jobs = requests.map((request) => {
      const prompt = codec.prompt(request.messages);
      if (prompt.length + parameters.maxTokens > longest)
        throw lm.contextError(prompt.length, parameters.maxTokens, longest, `the prompt of user ${request.user}`);
      return { request, prompt };
    });
    const wanted = jobs.reduce((most, { prompt }) => Math.max(most, prompt.length), 0) + parameters.maxTokens;
    const { _ctx: context } = await this.contextOf(wanted);
    const sampler = () => new llama._bindings.AddonSampler(model._model);
    const engine = { context, sequences: this.options.sequences + ownSequences, batch, sampler, threads: this.threads };
    return new Generation(engine, codec, jobs, parameters, onDone).run(signal);
  }

  async probe(messages: readonly ChatMessage[], completion: string): Promise<Probe> {
    const { codec, model, llama } = this.ready;
    const { prompt, completions } = lm.tokenizeExample(codec, messages, [{ text: completion, ended: false }]);
    const tokens = [...prompt, ...(completions[0] ?? [])];
    const { _ctx: context } = await this.contextOf(tokens.length);
    const sampler = new llama._bindings.AddonSampler(model._model);
    try {
      return { tokens, logProbs: await logProbsOf(context, sampler, tokens, prompt.length, batch) };
    } finally {
      sampler.dispose();
    }
  }

  /** @throws RLRF_LLAMA_CPP when the file is damaged, or the model is not the one that was tuned */
  async useAdapter(adapter: AdapterFiles | null): Promise<void> {
    const { llama, model } = this.ready;
    if (adapter?.identity === this.adapter?.identity) return;
    const before = this.adapter;
    if (adapter === null) this.adapter = undefined;
    else {
      const path = join(adapter.folder, "adapter.gguf");
      mustTakeAdapters(model, path);
      const lora = new llama._bindings.AddonModelLora(model._model, path);
      await failing(`llama.cpp cannot load the adapter ${path}`, "its model has to be the one that was tuned", () =>
        model._model.loadLora(lora),
      );
      this.adapter = { lora, identity: adapter.identity };
    }
    if (this.opened !== undefined) this.attach(this.opened.context);
    await before?.lora.dispose();
  }

  private attach({ _ctx: context }: LlamaContext): void {
    const loras = this.adapter === undefined ? [] : [this.adapter.lora];
    context.setLoras(loras, loras.map(() => 1)); // biome-ignore format: one line
  }

  /** A context whose sequences hold so many tokens. */
  private async contextOf(tokens: number): Promise<LlamaContext> {
    if (this.opened !== undefined && this.opened.length >= tokens) return this.opened.context;
    await this.opened?.context.dispose();
    this.opened = undefined;
    const length = Math.ceil(tokens / contextStep) * contextStep;
    const sequences = this.options.sequences + ownSequences;
    const hint = "fewer sequences at once need less memory (options.sequences)";
    const context = await failing(`llama.cpp cannot keep ${sequences} sequences of ${length} tokens`, hint, () =>
      this.ready.model.createContext({
        sequences,
        contextSize: length,
        batchSize: Math.max(batch, sequences),
        threads: this.threads.threads,
        flashAttention: true,
        failedCreationRemedy: false,
      }),
    );
    context._ctx.setThreads(this.threads.threads);
    this.opened = { context, length };
    this.attach(context);
    return context;
  }

  private get ready(): Loaded {
    if (this.loaded === undefined) throw unprepared();
    return this.loaded;
  }

  async dispose(): Promise<void> {
    const { llama, loaded, opened, adapter } = this;
    this.llama = this.loaded = this.opened = this.adapter = undefined;
    await opened?.context.dispose();
    await adapter?.lora.dispose();
    await loaded?.model.dispose();
    await llama?.dispose();
  }
}

/** llama.cpp itself tells its log alone why it does not take an adapter. @throws RLRF_LLAMA_CPP */
function mustTakeAdapters({ fileInfo }: LlamaModel, path: string): void {
  const { architecture } = fileInfo.metadata.general;
  if ((lm.architectures as readonly string[]).includes(architecture)) return;
  throw new RlrfError("RLRF_LLAMA_CPP", {
    message: `the adapter ${path} cannot be of a model of the architecture ${architecture}`,
    expected: lm.architectures.join(", "),
    hint: "name the model that is tuned in options.model",
  });
}

/** @throws RLRF_CHECKPOINT_UNSUPPORTED for a folder in Hugging Face's layout */
async function ggufOf(path: string): Promise<string> {
  const file = await lm.ggufFile(path);
  if (file !== null) return file;
  throw new RlrfError("RLRF_CHECKPOINT_UNSUPPORTED", {
    message: "llama.cpp reads GGUF files alone",
    where: path,
    expected: "a .gguf file, or a folder with one",
    hint: "as llm.sampler it can take the LLM's own weights: options.model = null; else llama.cpp's convert_hf_to_gguf.py makes a file",
  });
}

function unprepared(): RlrfError {
  return new RlrfError("RLRF_LLM_UNPREPARED", { message: "llama-cpp answers only after `prepare`, and `useModel` where it has no model" });
}
