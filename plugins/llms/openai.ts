import { createHash } from "node:crypto";
import {
  type AdapterFiles,
  type ChatMessage,
  createRng,
  type Disposable,
  type GeneratedText,
  type GenerationParameters,
  type GenerationRequest,
  type LlmBackend,
  type Logger,
  logger,
  type OnDone,
  options,
  plugin,
  type Probe,
  RlrfError,
} from "rlrf4rec";
import { ServerAdapters } from "./openai/adapters.js";
import { type Abilities, chatBody, readAnswer, textsOf } from "./openai/chat.js";
import { Client } from "./openai/client.js";
import { endpoint } from "./openai/endpoint.js";
import { pooled } from "./openai/pool.js";
import { probeServer } from "./openai/probe.js";
import { abilitiesOf, type ServedModel, servedModel } from "./openai/server.js";

interface OpenAiOptions {
  readonly baseUrl: string;
  readonly model: string;
  readonly key?: string;
  readonly plainHttp: boolean;
  readonly choices: "auto" | "n" | "requests";
  readonly limitField: "max_tokens" | "max_completion_tokens";
  readonly extra: Readonly<Record<string, unknown>>;
  readonly adapters: "vllm" | "none";
  readonly adapterFolder: string | null;
  readonly concurrency: number;
  readonly attempts: number;
  readonly firstWait: number;
  readonly connectTimeout: number;
  readonly timeout: number;
}

const seconds = { type: "number", exclusiveMinimum: 0, maximum: 86_400, unit: "seconds" } as const;

@plugin({
  kind: "llm",
  name: "openai",
  version: "1.0.0",
  summary: "A model behind an OpenAI-compatible server: vLLM, llama.cpp's, Ollama, transformers serve, or a hosted one",
  source:
    "OpenAI's chat completions interface; vLLM's tokenize, prompt_logprobs and LoRA endpoints; llama.cpp's tokenize; RFC 9110 (Retry-After)",
  takesAdapters: { adapters: "vllm" },
  options: {
    type: "object",
    required: ["baseUrl", "model"],
    properties: {
      baseUrl: { type: "string", minLength: 1, description: "What stands before /chat/completions, e.g. http://127.0.0.1:8000/v1." },
      model: { type: "string", minLength: 1, description: "Name under which the server offers the model." },
      key: { secret: true, description: "Sent as a bearer token; servers on this machine seldom need one." },
      plainHttp: { type: "boolean", default: false, description: "Send the key unencrypted (http) to another machine." },
      choices: {
        enum: ["auto", "n", "requests"],
        default: "auto",
        description: "The N texts of a prompt: by one request with n, by N requests, or as a trial shows that the server can.",
      },
      limitField: {
        enum: ["max_tokens", "max_completion_tokens"],
        default: "max_tokens",
        description: "The field that limits a text; some hosted models take only the second.",
      },
      extra: {
        type: "object",
        additionalProperties: true,
        default: {},
        description:
          'Further fields of each chat request, e.g. {"chat_template_kwargs": {"enable_thinking": false}}; none of ours changes.',
      },
      adapters: {
        enum: ["vllm", "none"],
        default: "none",
        description: "How a tuned adapter is loaded: by vLLM's endpoints, which need a server that allows it.",
      },
      adapterFolder: {
        type: ["string", "null"],
        default: null,
        description: "The run's folder `adapters` as the server sees it, where that is another path than ours.",
      },
      concurrency: { type: "integer", minimum: 1, maximum: 1024, default: 8, unit: "requests", description: "Under way at once." },
      attempts: { type: "integer", minimum: 1, maximum: 100, default: 6, unit: "tries", description: "Of a request, where it may pass." },
      firstWait: {
        ...seconds,
        default: 1,
        description: "Longest wait before the second try; doubles, drawn at random below. Retry-After goes first.",
      },
      connectTimeout: { ...seconds, default: 10, description: "Until a connection stands." },
      timeout: { ...seconds, default: 300, description: "Until the last byte of an answer." },
    },
  },
})
export class OpenAi implements LlmBackend, Disposable {
  private readonly client: Client;
  private readonly adapters: ServerAdapters;
  private served: (ServedModel & { readonly abilities: Abilities }) | undefined;
  readonly useAdapter?: (files: AdapterFiles | null) => Promise<void>;

  constructor(
    @options() private readonly options: OpenAiOptions,
    @logger() logger: Logger,
  ) {
    const { baseUrl, key, plainHttp, attempts, firstWait, connectTimeout, timeout, concurrency, adapters, adapterFolder } = options;
    const [first, connect, whole] = [firstWait, connectTimeout, timeout].map((value) => value * 1000) as [number, number, number];
    const limits = { attempts, firstWait: first, connectTimeout: connect, timeout: whole, concurrency };
    this.client = new Client(endpoint(baseUrl, key !== undefined, plainHttp), key, limits, logger);
    this.adapters = new ServerAdapters(this.client, adapterFolder, logger);
    if (adapters === "vllm") this.useAdapter = (files) => this.adapters.use(files);
  }

  /** The server, the model, what the server says of it, and the adapter: a server that changes its weights in silence goes unnoticed. */
  identity(): string {
    const { card } = this.ready;
    const { model, extra } = this.options;
    const said = createHash("sha256")
      .update(JSON.stringify({ card, extra, adapter: this.adapters.identity }))
      .digest("hex");
    return `${this.client.endpoint.host} ${model} ${said}`;
  }

  async prepare(): Promise<void> {
    const { model, limitField, extra, choices } = this.options;
    const served = await servedModel(this.client, model);
    const abilities = await abilitiesOf(this.client, { model, limitField, extra, choices }, served);
    this.served = { ...served, abilities };
  }

  async generate(
    requests: readonly GenerationRequest[],
    parameters: GenerationParameters,
    onDone?: OnDone,
    signal?: AbortSignal,
  ): Promise<readonly (readonly GeneratedText[])[]> {
    const { several } = this.ready.abilities;
    const written = requests.map((): GeneratedText[] => []);
    const left = requests.map(({ samples }) => (several ? 1 : samples));
    const jobs = left.flatMap((count, request) => Array.from({ length: count }, (_, sample) => ({ request, sample })));
    await pooled(
      jobs.length,
      this.options.concurrency,
      async (job, ended) => {
        const { request: index, sample } = jobs[job] as (typeof jobs)[number];
        const texts = await this.ask(requests[index] as GenerationRequest, several ? null : sample, parameters, ended);
        const own = written[index] as GeneratedText[];
        for (const [i, text] of texts.entries()) own[sample + i] = text;
        left[index] = (left[index] as number) - 1;
        if (left[index] === 0) onDone?.(index, own);
      },
      signal,
    );
    return written;
  }

  /** @param sample one sample, by a seed of its own; null = all of them by the prompt's seed, from which a server derives theirs */
  private async ask(
    { messages, samples, seed }: GenerationRequest,
    sample: number | null,
    parameters: GenerationParameters,
    signal: AbortSignal,
  ): Promise<readonly GeneratedText[]> {
    const { model, limitField, extra } = this.options;
    const choices = sample === null ? samples : 1;
    const own = sample === null ? seed : createRng(seed, "sample", sample).seed();
    const { logprobs } = this.ready.abilities;
    const request = { model: this.adapters.name ?? model, messages, parameters, choices, seed: own, logprobs, limitField, extra };
    const answer = await this.client.send("POST", `${this.client.endpoint.base}/chat/completions`, {
      body: chatBody(request),
      read: (body) => readAnswer(body, choices),
      signal,
    });
    return textsOf(answer, parameters);
  }

  probe(messages: readonly ChatMessage[], completion: string): Promise<Probe> {
    const model = this.adapters.name ?? this.options.model;
    return probeServer(this.client, this.ready.dialect, model, messages, completion);
  }

  private get ready() {
    if (this.served === undefined) throw new RlrfError("RLRF_LLM_UNPREPARED", { message: "openai answers only after `prepare`" });
    return this.served;
  }

  async dispose(): Promise<void> {
    await this.adapters.close();
    this.client.close();
  }
}
