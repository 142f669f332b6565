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
  type ServerShare,
} from "rlrf4rec";
import { chatBody, readAnswer, textsOf } from "./openai/chat.js";
import { endpoint } from "./openai/endpoint.js";
import { pooled } from "./openai/pool.js";
import { probeServer } from "./openai/probe.js";
import { Servers } from "./openai/servers.js";

interface OpenAiOptions {
  readonly baseUrl: string | readonly string[];
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
      baseUrl: {
        type: ["string", "array"],
        minLength: 1,
        items: { type: "string", minLength: 1 },
        minItems: 1,
        uniqueItems: true,
        description:
          "What stands before /chat/completions, e.g. http://127.0.0.1:8000/v1; or a list of servers of one model: each request goes to the one that has least to do, and one that fails is left out for a while.",
      },
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
        description: "How a tuned adapter is loaded: by vLLM's endpoints, which need a server that allows it; untested on a real vLLM.",
      },
      adapterFolder: {
        type: ["string", "null"],
        default: null,
        description: "The run's folder `adapters` as the server sees it, where that is another path than ours.",
      },
      concurrency: {
        type: "integer",
        minimum: 1,
        maximum: 1024,
        default: 8,
        unit: "requests",
        description: "Under way at once, at each server.",
      },
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
  private readonly servers: Servers;
  private warned = false;
  readonly useAdapter?: (files: AdapterFiles | null) => Promise<void>;

  constructor(
    @options() private readonly options: OpenAiOptions,
    @logger() private readonly logger: Logger,
  ) {
    const { baseUrl, key, plainHttp, attempts, firstWait, connectTimeout, timeout, concurrency, adapters, adapterFolder } = options;
    const [first, connect, whole] = [firstWait, connectTimeout, timeout].map((value) => value * 1000) as [number, number, number];
    const limits = { attempts, firstWait: first, connectTimeout: connect, timeout: whole, concurrency };
    const endpoints = [baseUrl].flat().map((address) => endpoint(address, key !== undefined, plainHttp));
    const { model, limitField, extra, choices } = options;
    const trial = { model, limitField, extra, choices };
    this.servers = new Servers({ endpoints, key, limits, trial, adapterFolder }, logger);
    if (adapters === "vllm") this.useAdapter = (files) => this.servers.useAdapter(files);
  }

  /**
   * The server, the model, what the server says of it, whether its own cuts are turned off, and the adapter: a server that changes its
   * weights in silence goes unnoticed.
   */
  identity(): string {
    const { card, host, abilities, adapterIdentity: adapter } = this.servers;
    const { model, extra } = this.options;
    const { uncut } = abilities;
    const said = createHash("sha256").update(JSON.stringify({ card, uncut, extra, adapter })).digest("hex"); // biome-ignore format: one line
    return `${host} ${model} ${said}`;
  }

  prepare(): Promise<void> {
    return this.servers.prepare();
  }

  async generate(
    requests: readonly GenerationRequest[],
    parameters: GenerationParameters,
    onDone?: OnDone,
    signal?: AbortSignal,
  ): Promise<readonly (readonly GeneratedText[])[]> {
    const { several } = this.servers.abilities;
    this.warnOfCuts(parameters);
    const written = requests.map((): GeneratedText[] => []);
    const left = requests.map(({ samples }) => (several ? 1 : samples));
    const jobs = left.flatMap((count, request) => Array.from({ length: count }, (_, sample) => ({ request, sample })));
    await pooled(
      jobs.length,
      this.servers.concurrency,
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

  /** Once: whether the server draws from the whole distribution is then the user's to know. */
  private warnOfCuts({ temperature, topK, minP }: GenerationParameters): void {
    const { uncut } = this.servers.abilities;
    if (this.warned || uncut === "heeds" || temperature === 0 || (topK > 0 && minP > 0)) return;
    this.warned = true;
    const said = uncut === "refuses" ? "refuses top_k and min_p" : "takes top_k and min_p, but is not known to heed them";
    this.logger.warn(
      "RLRF_LLM_HTTP_CUTS",
      `${this.servers.host} ${said}: its own cuts (the model's generation_config.json, a default top_k) may apply to what it samples; turn them off there`,
    );
  }

  /** @param sample one sample, by a seed of its own; null = all of them by the prompt's seed, from which a server derives theirs */
  private async ask(
    { messages, samples, seed }: GenerationRequest,
    sample: number | null,
    parameters: GenerationParameters,
    signal: AbortSignal,
  ): Promise<readonly GeneratedText[]> {
    const { limitField, extra } = this.options;
    const choices = sample === null ? samples : 1;
    const own = sample === null ? seed : createRng(seed, "sample", sample).seed();
    const { logprobs, uncut } = this.servers.abilities;
    const answer = await this.servers.use(({ client, model }) => {
      const request = { model, messages, parameters, choices, seed: own, logprobs, uncut: uncut !== "refuses", limitField, extra };
      return client.send("POST", `${client.endpoint.base}/chat/completions`, {
        body: chatBody(request),
        read: (body) => readAnswer(body, choices),
        signal,
      });
    }, signal);
    return textsOf(answer, parameters);
  }

  /** Of the server whose turn it is: several chats are read by several servers. */
  probe(messages: readonly ChatMessage[], completion: string): Promise<Probe> {
    return this.servers.use(({ client, served, model }) => probeServer(client, served.dialect, model, messages, completion));
  }

  shares(): readonly ServerShare[] {
    return this.servers.shares();
  }

  async dispose(): Promise<void> {
    const shares = this.shares();
    if (shares.length > 1 || shares.some(({ failures }) => failures > 0)) this.logger.info(`requests by server: ${sharesText(shares)}`);
    await this.servers.close();
  }
}

function sharesText(shares: readonly ServerShare[]): string {
  return shares
    .map(({ server, answers, failures, leftOut }) => {
      const failed = failures === 0 ? "" : ` (${failures} failed${leftOut > 0 ? `, left out ${leftOut} times` : ""})`;
      return `${server} ${answers}${failed}`;
    })
    .join(", ");
}
