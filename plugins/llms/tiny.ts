import { createHash } from "node:crypto";
import {
  type ChatMessage,
  type CorpusTexts,
  createRng,
  type Disposable,
  type GeneratedText,
  type GenerationParameters,
  type GenerationRequest,
  type HiddenPooling,
  type LlmBackend,
  type LlmState,
  lm,
  type OnDone,
  options,
  Parameters,
  plugin,
  type Probe,
  type Progress,
  progress,
  RlrfError,
  type TextVectors,
  type TunablePolicy,
} from "rlrf4rec";

interface TinyOptions {
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly intermediate: number;
  readonly vocabulary: number;
  readonly context: number;
  readonly dialogues: number;
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly promptLoss: number;
  readonly seed: number;
}

const size = { type: "integer", minimum: 1 } as const;

/** What is known of the model once it is there. */
interface Prepared {
  readonly tokenizer: lm.TokenizerState;
  /** Hash of everything that the weights follow from. */
  readonly provenance: string;
  readonly parameters: Parameters;
  readonly model: lm.LanguageModel;
}

@plugin({
  kind: "llm",
  name: "tiny",
  version: "1.0.1",
  summary: "A small Llama-form decoder with a tokenizer of its own, trained by the run on its dialogues",
  source: "Llama: Touvron et al. 2023, arXiv 2302.13971; grouped-query attention, RoPE, RMSNorm, SwiGLU; byte-level BPE",
  needs: ["dialogues"],
  tunable: true,
  hidden: true,
  options: {
    type: "object",
    properties: {
      hidden: { ...size, default: 64, unit: "features", description: "Width of the residual stream; a multiple of twice the heads." },
      layers: { ...size, default: 2, unit: "layers", description: "Decoder blocks." },
      heads: { ...size, default: 4, dividesHalf: "hidden", description: "Query heads." },
      kvHeads: { ...size, default: 4, divides: "heads", description: "Key and value heads." },
      intermediate: { ...size, default: 176, unit: "features", description: "Width of the feed-forward layers." },
      vocabulary: {
        type: "integer",
        minimum: 260,
        maximum: 65536,
        default: 2048,
        unit: "tokens",
        description: "At most; fewer when the texts have no more pairs to merge.",
      },
      context: { ...size, default: 1024, unit: "tokens", description: "Prompt and completion together at most." },
      dialogues: {
        ...size,
        default: 10_000,
        unit: "dialogues",
        description: "Learnt from, at most; with 4,000 it writes the structure, with 10,000 it begins to read what it is asked about.",
      },
      epochs: { ...size, default: 3, description: "Passes over the dialogues." },
      batchSize: { ...size, default: 16, unit: "dialogues" },
      learningRate: { type: "number", exclusiveMinimum: 0, default: 3e-3, description: "At its highest; a cosine brings it to 0." },
      promptLoss: {
        type: "number",
        minimum: 0,
        default: 0,
        description: "Weight of learning to write prompts too; 0 = completions alone.",
      },
      seed: { type: "integer", minimum: 0, default: 1, description: "Of the initial weights and of the order of the dialogues." },
    },
  },
})
export class Tiny implements LlmBackend, Disposable {
  private prepared: Prepared | undefined;

  constructor(
    @options() private readonly options: TinyOptions,
    @progress() private readonly progress: Progress,
  ) {}

  identity(): string {
    return `${this.ready.provenance}${this.ready.model.adapterHash()}`;
  }

  get policy(): TunablePolicy {
    return this.ready.model;
  }

  async prepare(corpus: CorpusTexts): Promise<void> {
    const dialogues = corpus.dialogues.slice(0, this.options.dialogues);
    if (dialogues.length === 0) throw new RlrfError("RLRF_LLM_CORPUS", { message: "tiny has no dialogues to learn from", where: "llm" });
    const texts = dialogues.flatMap(({ messages, completion }) => [
      ...messages.map(({ role, content }) => `${role}\n${content}`),
      completion,
    ]);
    const tokenizer = lm.trainBpe(texts, { vocabulary: this.options.vocabulary, special: lm.chatTokens });
    const provenance = createHash("sha256")
      .update(JSON.stringify([this.options, dialogues]))
      .digest("hex");
    this.prepared = this.build(tokenizer, provenance);
    await this.train(this.prepared, dialogues);
  }

  private build(tokenizer: lm.TokenizerState, provenance: string): Prepared {
    const { seed, dialogues: _, epochs: __, batchSize: ___, learningRate: ____, promptLoss: _____, ...sizes } = this.options;
    const config: lm.DecoderConfig = {
      ...sizes,
      vocabulary: tokenizer.tokens.length,
      headDim: sizes.hidden / sizes.heads,
      normEpsilon: 1e-5,
      rope: { theta: 10_000, scaling: null },
      tiedHead: true,
      qkvBias: false,
      qkNorm: false,
    };
    const parameters = new Parameters(createRng(seed, "tiny"));
    const weights = lm.createWeights(config, parameters);
    const model = new lm.LanguageModel(config, weights, new lm.ChatMl(new lm.BpeTokenizer(tokenizer)));
    return { tokenizer, provenance, parameters, model };
  }

  private async train({ model, parameters }: Prepared, dialogues: CorpusTexts["dialogues"]): Promise<void> {
    const { epochs, batchSize, learningRate, promptLoss, seed } = this.options;
    const { config, weights } = model;
    const examples = dialogues.map(({ messages, completion }) => model.tokenize(messages, [{ text: completion, ended: true }]));
    const settings = {
      epochs,
      batchSize,
      learningRate,
      accumulate: 1,
      weightDecay: 0.01,
      clip: 1,
      schedule: "cosine",
      rise: 0.05,
    } as const;
    const task = this.progress.start("language model", lm.pretrainingSteps(examples.length, settings), "steps");
    try {
      await lm.pretrain({ config, weights, parameters, examples, settings, promptLoss, seed, onStep: () => task.advance() });
    } finally {
      task.end();
    }
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

  async state(): Promise<LlmState> {
    const { tokenizer, provenance, parameters } = this.ready;
    return { description: { tokenizer, provenance }, tensors: await parameters.state() };
  }

  restoreState({ description, tensors }: LlmState): void {
    this.prepared = this.build(description.tokenizer as lm.TokenizerState, String(description.provenance));
    this.prepared.parameters.restore(tensors);
  }

  private get ready(): Prepared {
    if (this.prepared === undefined) throw new RlrfError("RLRF_LLM_UNPREPARED", { message: "tiny answers only after `prepare`" });
    return this.prepared;
  }

  dispose(): void {
    this.prepared?.model.dispose();
    this.prepared?.parameters.dispose();
    this.prepared = undefined;
  }
}
