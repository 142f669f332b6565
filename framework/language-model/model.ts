import * as tf from "@tensorflow/tfjs-core";
import { createHash } from "node:crypto";
import { join } from "node:path";
import type {
  AdapterState,
  ChatMessage,
  GeneratedText,
  GenerationParameters,
  GenerationRequest,
  HiddenPooling,
  LoraOptions,
  OnDone,
  Probe,
  TextVectors,
  TokenizedExample,
  TunablePolicy,
} from "../contracts/llm.js";
import { RlrfError } from "../errors.js";
import { writeJson } from "../store/files.js";
import { type EngineInfo, requireTensorMemory } from "../tensor/engine.js";
import { readAdapter, writeAdapter } from "./adapter-files.js";
import { writeAdapterGguf } from "./adapter-gguf.js";
import { type ChatCodec, tokenizeExample } from "./chat.js";
import { type DecoderConfig, parameterCount } from "./config.js";
import { type Batching, contextError, generate } from "./generate.js";
import { hiddenVectors } from "./hidden.js";
import { LoraAdapter } from "./lora.js";
import { keptBytes, loadingBytes, type TuningBatch, tuningBytes } from "./memory.js";
import { writeModel } from "./model-files.js";
import { pack, packedLogProbs } from "./packed.js";
import { Rotary } from "./rotary.js";
import type { DecoderWeights } from "./weights.js";

/** A decoder with a language: generates, and is tuned through a LoRA adapter on its frozen weights. What `tiny` and real checkpoints share. */
export class LanguageModel implements TunablePolicy {
  private readonly batching: Batching;
  private readonly rotary: Rotary;
  private lora: { readonly adapter: LoraAdapter; readonly options: LoraOptions } | undefined;

  constructor(
    readonly config: DecoderConfig,
    readonly weights: DecoderWeights,
    readonly codec: ChatCodec,
    batching?: Batching,
    private readonly limits: TuningLimits = { checkpointing: "auto", engine: null },
  ) {
    this.batching = batching ?? defaultBatching(config, limits.engine);
    this.rotary = new Rotary(config);
  }

  async generate(
    requests: readonly GenerationRequest[],
    parameters: GenerationParameters,
    onDone?: OnDone,
    signal?: AbortSignal,
  ): Promise<readonly (readonly GeneratedText[])[]> {
    const { config, codec, rotary } = this;
    // Added in once, an adapter costs nothing a token.
    const { weights, merged } = this.lora?.adapter.merge(this.weights) ?? { weights: this.weights, merged: [] };
    try {
      return await generate({ config, weights, rotary, codec }, requests, parameters, this.batching, onDone, signal);
    } finally {
      for (const tensor of merged) tensor.dispose();
    }
  }

  tokenize(messages: readonly ChatMessage[], completions: readonly { readonly text: string; readonly ended: boolean }[]): TokenizedExample {
    const example = tokenizeExample(this.codec, messages, completions);
    const longest = Math.max(0, ...example.completions.map(({ length }) => length));
    if (example.prompt.length + longest > this.config.context)
      throw contextError(example.prompt.length, longest, this.config.context, "a training example");
    return example;
  }

  /** Of the frozen model, whatever adapter is attached. */
  hidden(texts: readonly string[], pooling: HiddenPooling): Promise<TextVectors> {
    const { config, weights, rotary, codec } = this;
    return hiddenVectors({ config, weights, rotary, codec }, texts, pooling, this.batching.prefill);
  }

  attach(options: LoraOptions, seed: number): void {
    this.lora ??= { adapter: new LoraAdapter(this.config, options, seed), options };
  }

  trainable(): readonly tf.Variable[] {
    return this.lora?.adapter.variables ?? [];
  }

  logProbs(examples: readonly TokenizedExample[], dropoutSeed?: number): tf.Tensor2D {
    const batch = pack(examples);
    const recompute = this.recomputes({ rows: batch.rows, length: batch.length, targets: batch.targets.length });
    const adapter = this.lora && { ...this.lora.adapter.pass(dropoutSeed), recompute };
    return packedLogProbs(this.config, this.weights, this.rotary, batch, adapter);
  }

  /** Of the model with its adapter, as `logProbs` computes them. */
  async probe(messages: readonly ChatMessage[], completion: string): Promise<Probe> {
    const example = this.tokenize(messages, [{ text: completion, ended: false }]);
    const batch = pack([example]);
    const each = { ...batch, segments: Int32Array.from(batch.targets.keys()), sums: batch.targets.length };
    const adapter = this.lora && { ...this.lora.adapter.pass(), recompute: false };
    const values = tf.tidy(() => packedLogProbs(this.config, this.weights, this.rotary, each, adapter)); // [1, tokens]
    const logProbs = [...(await values.data<"float32">())];
    values.dispose();
    return { tokens: [...example.prompt, ...(example.completions[0] ?? [])], logProbs };
  }

  requireMemory(examples: readonly TokenizedExample[], batchSize: number): void {
    const { config } = this;
    if (examples.length === 0) return;
    const completions = (example: TokenizedExample) => example.completions.reduce((sum, { length }) => sum + length, 0);
    const rows = Math.min(batchSize, examples.length);
    const most = (size: (example: TokenizedExample) => number) =>
      examples.reduce((largest, example) => Math.max(largest, size(example)), 0);
    const targets = rows * most(completions);
    const length = most((example) => example.prompt.length + completions(example));
    const batch = { rows, length, targets };
    const adapter = this.trainable().reduce((sum, { size }) => sum + size, 0);
    const what = `tuning on ${rows} example${rows === 1 ? "" : "s"} of up to ${length} tokens at once`;
    if (this.limits.engine !== null)
      requireTensorMemory(this.limits.engine, tuningBytes(config, batch, adapter, this.recomputes(batch)), what);
  }

  private recomputes(batch: TuningBatch): boolean {
    const { checkpointing } = this.limits;
    return checkpointing === "auto" ? keptBytes(this.config, batch) > keptAtMost : checkpointing === "on";
  }

  async adapter(): Promise<AdapterState> {
    return (await this.lora?.adapter.state()) ?? {};
  }

  restore(state: AdapterState): void {
    if (Object.keys(state).length === 0) {
      this.lora?.adapter.dispose();
      this.lora = undefined;
    } else if (this.lora === undefined) throw new Error("an adapter's state is restored after `attach`");
    else this.lora.adapter.restore(state);
  }

  async exportAdapter(folder: string): Promise<void> {
    const { lora, config } = this;
    if (lora === undefined) {
      const hint = "`attach` makes one; the policy before any tuning is its base model alone";
      throw new RlrfError("RLRF_ADAPTER_NONE", { message: "there is no adapter to be exported", where: folder, hint });
    }
    const adapter = { options: lora.options, state: await lora.adapter.state() };
    await writeAdapter(folder, config, adapter, null);
    await writeAdapterGguf(join(folder, "adapter.gguf"), config, adapter);
  }

  async importAdapter(folder: string): Promise<void> {
    const { options, state } = await readAdapter(folder, this.config);
    this.restore({}); // whatever its rank was
    this.attach(options, 0);
    this.restore(state);
  }

  async exportModel(folder: string): Promise<void> {
    const { config, weights, codec } = this;
    await writeModel(folder, config, weights, { ends: [...codec.endTokens], padding: codec.padding });
    for (const [name, content] of Object.entries(codec.files())) await writeJson(join(folder, name), content);
  }

  /** Names the adapter's present values; "" where it changes nothing. */
  adapterHash(): string {
    if (this.lora === undefined || this.lora.adapter.neutral) return "";
    const hash = createHash("sha256").update(JSON.stringify([this.lora.options.alpha, this.lora.options.rank]));
    for (const variable of this.trainable()) hash.update(variable.dataSync<"float32">());
    return hash.digest("hex");
  }

  dispose(): void {
    this.lora?.adapter.dispose();
    this.rotary.dispose();
  }
}

/** What the gradients of all layers may keep before it is computed again instead. */
const keptAtMost = 1e9; // bytes

export interface TuningLimits {
  /** Gradient checkpointing: keep a layer's input alone and compute the rest again; auto: where the rest would take more than 1 GB. */
  readonly checkpointing: "auto" | "on" | "off";
  /** Held to its memory before tuning starts; null = not. */
  readonly engine: EngineInfo | null;
}

/** Many rows hide what an operation costs by itself; of the memory that weights leave to an engine without much, keys get a third. */
function defaultBatching(config: DecoderConfig, engine: EngineInfo | null): Batching {
  const large = parameterCount(config) > 2e7;
  const left = (engine?.memory ?? Number.POSITIVE_INFINITY) - loadingBytes(config);
  const keys = Math.min(2e9, Math.max(0, left / 3));
  return { rows: large ? 128 : 640, keys, block: 16, prefill: large ? 2048 : 8192 };
}
