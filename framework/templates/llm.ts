import {
  createRng,
  type GeneratedText,
  type GenerationParameters,
  type GenerationRequest,
  type LlmBackend,
  type OnDone,
  options,
  plugin,
} from "rlrf4rec";

interface TemplateOptions {
  readonly aspects: readonly string[];
}

/** Stands in for a model or a service of yours: answer the messages of a request here instead. */
@plugin({
  kind: "llm",
  name: "@team/package/name",
  version: "1.0.0",
  summary: "Answers each aspect with a word of the prompt, drawn at random",
  source: "uniform over the distinct words of the prompt",
  options: {
    type: "object",
    properties: {
      aspects: {
        type: "array",
        items: { type: "string", minLength: 1 },
        minItems: 1,
        default: ["Genre", "Period", "Avoids"],
        description: "The lines that it writes",
      },
    },
  },
})
export class Template implements LlmBackend {
  constructor(@options() private readonly options: TemplateOptions) {}

  /** Part of the cache key of every text: name the weights, and change it when they do. */
  identity(): string {
    return "words of the prompt";
  }

  async prepare(): Promise<void> {}

  async generate(
    requests: readonly GenerationRequest[],
    { maxTokens }: GenerationParameters,
    onDone?: OnDone,
    signal?: AbortSignal,
  ): Promise<readonly (readonly GeneratedText[])[]> {
    return requests.map((request, index) => {
      signal?.throwIfAborted();
      const texts = Array.from({ length: request.samples }, (_, sample) => this.write(request, sample, maxTokens));
      onDone?.(index, texts);
      return texts;
    });
  }

  /** A sample depends on the request's seed and its own number alone, never on the batch. Words stand for tokens. */
  private write({ messages, seed }: GenerationRequest, sample: number, maxTokens: number): GeneratedText {
    const rng = createRng("sample", seed, sample);
    const words = [...new Set(messages.flatMap(({ content }) => content.match(/[\p{L}\p{N}]+/gu) ?? ["nothing"]))];
    const answer = this.options.aspects.flatMap((aspect) => [`${aspect}:`, `${words[rng.below(words.length)]}\n`]);
    const kept = answer.slice(0, maxTokens);
    return {
      text: kept.join(" ").replaceAll("\n ", "\n").trim(),
      tokens: kept.length,
      finish: kept.length < answer.length ? "length" : "stop",
    };
  }
}
