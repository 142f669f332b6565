import { type Disposable, type Logger, logger, options, plugin, type TextEncoder, type TextVectors, unitVectors } from "rlrf4rec";
import { Client, Unusable } from "../llms/openai/client.js";
import { endpoint } from "../llms/openai/endpoint.js";
import { pooled } from "../llms/openai/pool.js";

interface OpenAiOptions {
  readonly baseUrl: string;
  readonly model: string;
  readonly key?: string;
  readonly plainHttp: boolean;
  readonly prefix: string;
  readonly dimensions: number | null;
  readonly normalise: boolean;
  readonly extra: Readonly<Record<string, unknown>>;
  readonly batchSize: number;
  readonly concurrency: number;
  readonly attempts: number;
  readonly firstWait: number;
  readonly connectTimeout: number;
  readonly timeout: number;
}

const seconds = { type: "number", exclusiveMinimum: 0, maximum: 86_400, unit: "seconds" } as const;

@plugin({
  kind: "text-encoder",
  name: "openai",
  version: "1.0.0",
  summary: "Vectors from an OpenAI-compatible embeddings endpoint: vLLM, llama.cpp's server, Ollama, or a hosted one",
  source: "OpenAI's embeddings interface; dimensions: Kusupati et al. 2022, arXiv 2205.13147; RFC 9110 (Retry-After)",
  options: {
    type: "object",
    required: ["baseUrl", "model"],
    properties: {
      baseUrl: { type: "string", minLength: 1, description: "What stands before /embeddings, e.g. http://127.0.0.1:8000/v1" },
      model: { type: "string", minLength: 1, description: "Name under which the server offers the model" },
      key: { secret: true, description: "Sent as a bearer token; servers on this machine seldom need one" },
      plainHttp: { type: "boolean", default: false, description: "Send the key unencrypted (http) to another machine" },
      prefix: { type: "string", default: "", description: "Put before every text, for models that were trained so" },
      dimensions: {
        type: ["integer", "null"],
        minimum: 1,
        default: null,
        unit: "numbers",
        description: "Width asked for, of models that can shorten their vectors; null: the model's own",
      },
      normalise: { type: "boolean", default: true, description: "Vectors of length 1" },
      extra: {
        type: "object",
        additionalProperties: true,
        default: {},
        description: "Further fields of each request; none of ours changes",
      },
      batchSize: { type: "integer", minimum: 1, maximum: 2048, default: 64, unit: "texts", description: "In one request" },
      concurrency: { type: "integer", minimum: 1, maximum: 1024, default: 4, unit: "requests", description: "Under way at once" },
      attempts: { type: "integer", minimum: 1, maximum: 100, default: 6, unit: "tries", description: "Of a request, where it may pass" },
      firstWait: {
        ...seconds,
        default: 1,
        description: "Longest wait before the second try; doubles, drawn at random below. Retry-After goes first",
      },
      connectTimeout: { ...seconds, default: 10, description: "Until a connection stands" },
      timeout: { ...seconds, default: 120, description: "Until the last byte of an answer" },
    },
  },
})
export class OpenAiEmbeddings implements TextEncoder, Disposable {
  private readonly client: Client;

  constructor(
    @options() private readonly options: OpenAiOptions,
    @logger() logger: Logger,
  ) {
    const { baseUrl, key, plainHttp, attempts, concurrency } = options;
    const [firstWait, connectTimeout, timeout] = [options.firstWait, options.connectTimeout, options.timeout].map(
      (value) => value * 1000,
    ) as [number, number, number];
    this.client = new Client(
      endpoint(baseUrl, key !== undefined, plainHttp),
      key,
      { attempts, firstWait, connectTimeout, timeout, concurrency },
      logger,
    );
  }

  async encode(texts: readonly string[]): Promise<TextVectors> {
    const { batchSize, concurrency, normalise } = this.options;
    const batches: (readonly Float32Array[])[] = [];
    await pooled(Math.ceil(texts.length / batchSize), concurrency, async (batch, signal) => {
      batches[batch] = await this.ask(texts.slice(batch * batchSize, (batch + 1) * batchSize), signal);
    });
    const rows = batches.flat();
    const width = rows[0]?.length ?? 0;
    const vectors = Float32Array.from(rows.flatMap((row) => [...row])); // of unequal widths the framework hears by their number
    return normalise ? unitVectors({ width, vectors }) : { width, vectors };
  }

  private ask(texts: readonly string[], signal: AbortSignal): Promise<Float32Array[]> {
    const { model, prefix, dimensions, extra } = this.options;
    // OpenAI refuses an empty text.
    const input = texts.map((text) => prefix + text || " ");
    return this.client.send("POST", `${this.client.endpoint.base}/embeddings`, {
      body: { ...extra, model, input, encoding_format: "float", ...(dimensions === null ? {} : { dimensions }) },
      read: (body) => readVectors(body, texts.length, dimensions),
      wanted: {
        expected: "an answer of OpenAI's embeddings interface",
        hint: "check options.baseUrl, and that options.model is an embedding model; lower options.batchSize if the server cuts batches",
      },
      signal,
    });
  }

  dispose(): void {
    this.client.close();
  }
}

/** In the order of the texts, whatever that of the answer is. @throws Unusable */
function readVectors(body: Buffer, count: number, dimensions: number | null): Float32Array[] {
  const data = entriesOf(body);
  if (data.length !== count) throw new Unusable(`${data.length} vectors for ${count} texts`);
  const vectors = new Array<Float32Array>(count);
  for (const [place, entry] of data.entries()) {
    const { index = place, embedding } = (entry ?? {}) as { readonly index?: unknown; readonly embedding?: unknown };
    if (typeof index !== "number" || !Number.isInteger(index) || index < 0 || index >= count || vectors[index] !== undefined)
      throw new Unusable(`the place ${JSON.stringify(index)} is none of ${count}, or stands twice`);
    if (!Array.isArray(embedding) || embedding.length === 0 || !embedding.every(Number.isFinite))
      throw new Unusable(`vector ${index} is not a list of finite numbers`);
    vectors[index] = Float32Array.from(embedding as number[]);
  }
  const widths = new Set(vectors.map(({ length }) => length));
  if (widths.size > 1) throw new Unusable(`vectors of ${[...widths].join(" and ")} numbers`);
  if (dimensions !== null && !widths.has(dimensions))
    throw new Unusable(`vectors of ${[...widths][0]} numbers, not the ${dimensions} asked for`);
  return vectors;
}

function entriesOf(body: Buffer): readonly unknown[] {
  let answer: unknown;
  try {
    answer = JSON.parse(body.toString("utf8"));
  } catch {
    throw new Unusable("no JSON");
  }
  const data = (answer as { readonly data?: unknown } | null)?.data;
  if (!Array.isArray(data)) throw new Unusable('no list "data"');
  return data;
}
