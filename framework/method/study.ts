/** Step 0 and what every later step stands on: the prepared data, the item texts, and the store of what is computed already. */
import type { Progress, Logger } from "../contracts/plugin.js";
import type { PreparedData } from "../contracts/dataset.js";
import type { Reward, SamplingStrategy } from "../contracts/feedback.js";
import type { GeneratedText, GenerationParameters, LlmBackend, TextVectors, TunablePolicy } from "../contracts/llm.js";
import type { NamedLoss, Tuner } from "../contracts/tuner.js";
import { missingTitles } from "../data/interactions.js";
import { digestOf, prepare, warnOfSkippedRows } from "../data/prepare.js";
import type { Assembly } from "../kernel/assemble.js";
import { faultLines, RlrfError } from "../errors.js";
import type { Alignment, Spec } from "../spec/types.js";
import { writeJson } from "../store/files.js";
import type { KeyedLog } from "../store/log.js";
import { hashOf } from "../store/hash.js";
import type { Store } from "../store/store.js";
import type { EngineInfo } from "../tensor/engine.js";
import type { Tracker } from "../track/tracker.js";
import type { AnswerVectors } from "./answer-vectors.js";
import { mustHaveFields } from "./aspect-fields.js";
import { parseStructure, type UserText } from "./structure.js";
import { itemVectors, userVectors, VectorCache } from "./knowledge.js";
import type { Knowledge } from "./recommender.js";

/** Where files lie that outlive the process: a run's folder. */
export interface WorkFolder {
  /** The run's name. */
  readonly id: string;
  /** A path inside the folder. */
  path(...parts: readonly string[]): string;
}

/** What a run is given besides its spec and its parts. */
export interface RunContext {
  readonly store: Store;
  readonly folder: WorkFolder;
  readonly tracker: Tracker;
  readonly logger: Logger;
  readonly progress: Progress;
  readonly engine: EngineInfo;
  readonly signal: AbortSignal;
}

/** What a run that tunes has besides: everything that the loop of steps 4 to 8 asks for. */
export interface TuningParts {
  readonly llm: LlmBackend;
  readonly policy: TunablePolicy;
  readonly reward: Reward;
  readonly sampling: SamplingStrategy;
  readonly loss: NamedLoss;
  readonly tuner: Tuner;
  readonly alignment: Alignment;
}

export class Study {
  /** Seconds by step of the method, in the order of their first use. */
  readonly seconds: Record<string, number> = {};
  readonly warnings: string[] = [];

  private constructor(
    readonly spec: Spec,
    readonly parts: Assembly,
    readonly context: RunContext,
    readonly data: PreparedData,
    /** Names the prepared data in the keys of everything computed from them. */
    readonly dataKey: string,
  ) {}

  private opened: Promise<KeyedLog<readonly GeneratedText[]>> | undefined;
  private encoding: { readonly cache: VectorCache; readonly items: TextVectors } | undefined;

  /** Step 0: cut windows and lists, split the users, and prove that nothing leaks. */
  static async prepare(spec: Spec, parts: Assembly, context: RunContext): Promise<Study> {
    const begun = performance.now();
    await parts.tuner?.prepare?.();
    const study = await Study.withData(spec, parts, context);
    warnOfSkippedRows(study.data, context.logger);
    mustHaveFields(study.data.items, spec, parts.llm?.state !== undefined);
    await tellLists(context, study.dataKey, study.data.counts);
    const missing = missingTitles(study.data.counts);
    if (missing !== null) study.warn("RLRF_DATA_RECORDS", missing);
    if (parts.textEncoder.useLlm === undefined) await study.openEncoder(parts.identities.textEncoder as string);
    study.spent("prepare", begun);
    return study;
  }

  /** The same data for a process that makes single steps of another one's run: it encodes nothing. */
  static async withData(spec: Spec, parts: Assembly, context: RunContext): Promise<Study> {
    // Made anew in every process: it takes less time than to find out whether some file of the data set has changed.
    const data = await prepare(parts.dataset, spec.protocol, { folds: spec.alignment?.rewardFolds ?? 0 });
    return new Study(spec, parts, context, data, digestOf(data));
  }

  /** An encoder of the run's own LLM encodes from here on; others do from the beginning. @param llm prepared, and without an adapter */
  async useLlm(llm: LlmBackend): Promise<void> {
    const { textEncoder, identities } = this.parts;
    if (textEncoder.useLlm === undefined) return;
    textEncoder.useLlm(llm);
    await this.openEncoder(hashOf([identities.textEncoder, this.identityOf("llm")]));
  }

  /** @param identity names the encoder: its vectors are kept under it */
  private async openEncoder(identity: string): Promise<void> {
    const { store, progress } = this.context;
    await this.encoding?.cache.close();
    const cache = await VectorCache.open(store, this.parts.textEncoder, identity);
    this.encoding = { cache, items: await itemVectors(this.data, cache, this.spec.textEncoder.centre ?? false, progress) };
  }

  private get encoded() {
    if (this.encoding === undefined)
      throw new RlrfError("RLRF_INTERNAL", { message: "a text was to be encoded before there was a language model" });
    return this.encoding;
  }

  /** null where the spec declares no alignment. The spec's own check has made sure that nothing else is missing. */
  get tuning(): TuningParts | null {
    const { llm, reward, sampling, loss, tuner } = this.parts;
    const { alignment, loss: named } = this.spec;
    if (alignment === undefined) return null;
    if (llm?.policy === undefined || !reward || !sampling || !loss || !tuner || !named)
      throw new RlrfError("RLRF_INTERNAL", { message: "a run that tunes lacks a part of it", where: "/alignment" });
    const { plugin, options } = named;
    return { llm, policy: llm.policy, reward, sampling, loss: { plugin, options, loss }, tuner, alignment };
  }

  /** What writes the texts: the LLM, or what samples in its place. */
  get writer(): LlmBackend {
    return this.backendOf(this.writing);
  }

  /** Names what would write now, in the key of every text. */
  get writerIdentity(): string {
    return this.identityOf(this.writing);
  }

  /**
   * Names a language model as it is now, adapter included, in the keys of everything that comes from it. Of weights that this process has, what
   * the backend says is not all that they follow from: its plugin is named too, and the engine. Elsewhere (a server) it is, and how it is asked
   * (how many prompts at once, with what patience) makes no text another one.
   */
  identityOf(place: "llm" | "sampler"): string {
    const { identities } = this.parts;
    const backend = this.backendOf(place);
    const model = backend.identity();
    if (backend.policy === undefined) return hashOf({ model });
    return hashOf({ plugin: identities[place], model, engine: this.context.engine.name });
  }

  private get writing(): "llm" | "sampler" {
    return this.parts.sampler === undefined ? "llm" : "sampler";
  }

  private backendOf(place: "llm" | "sampler"): LlmBackend {
    const backend = this.parts[place];
    if (backend === undefined) throw new RlrfError("RLRF_INTERNAL", { message: "a run without a language model asked for one" });
    return backend;
  }

  /** Every text that an LLM has written into this store: read when it is first asked for, since most processes never do. */
  generations(): Promise<KeyedLog<readonly GeneratedText[]>> {
    this.opened ??= this.context.store.log("texts");
    return this.opened;
  }

  /** How texts are drawn. The spec's own check has made sure that a run with an LLM says so. */
  get generation(): GenerationParameters {
    const { sampling } = this.parts;
    if (sampling === undefined) throw new RlrfError("RLRF_INTERNAL", { message: "an LLM without a sampling strategy", where: "/llm" });
    return sampling.generation;
  }

  get llmSeed(): number {
    return this.spec.llm?.seed ?? 0;
  }

  /** A text of a user with what the parser makes of it. */
  userText(user: number, text: string): UserText {
    const aspects = this.spec.prompt.aspects.map((aspect) => aspect.name);
    return { user, text, parsed: parseStructure(text, aspects) };
  }

  /** Step 2: what the recommender hears of these texts. */
  async knowledge(texts: readonly UserText[]): Promise<Knowledge> {
    return { users: await this.encode(texts), items: this.encoded.items.vectors };
  }

  async encode(texts: readonly UserText[]): Promise<AnswerVectors> {
    const aspects = this.spec.prompt.aspects.map((aspect) => aspect.name);
    return userVectors(
      texts.map((text) => text.parsed),
      aspects,
      this.encoded.cache,
      this.context.progress,
    );
  }

  /** The encoder's vectors of texts as they stand. @returns [texts, width] */
  async vectorsOf(texts: readonly string[]): Promise<Float32Array> {
    return (await this.encoded.cache.encode(texts, this.context.progress)).vectors;
  }

  /** Runs a step of the method and adds its time. */
  async timed<T>(step: string, work: () => Promise<T>): Promise<T> {
    this.context.signal.throwIfAborted();
    const begun = performance.now();
    try {
      return await work();
    } finally {
      this.spent(step, begun);
    }
  }

  private spent(step: string, begun: number): void {
    this.seconds[step] = (this.seconds[step] ?? 0) + (performance.now() - begun) / 1000;
  }

  /** The result keeps the message alone: a hint is for whoever looks on. */
  warn(code: string, message: string, hint?: string): void {
    this.warnings.push(`${code}: ${message}`);
    this.context.logger.warn(code, faultLines({ message, ...(hint !== undefined && { hint }) }));
  }

  /** An iteration that did not help held-out users: the run keeps the policy that it came from. */
  rejected(iteration: number, reason: string): void {
    this.warn("RLRF_ALIGN_REJECTED", `iteration ${iteration} did not help the held-out users: ${reason}; the previous policy is kept`);
  }

  async close(): Promise<void> {
    await Promise.all([this.encoding?.cache.close(), this.opened?.then((generations) => generations.close())]);
  }
}

/** runs/ID/lists.json: two runs with the same digest were evaluated on the same lists. `rlrf lists` prints the same digest, and the lists. */
async function tellLists({ folder, tracker }: RunContext, digest: string, counts: PreparedData["counts"]): Promise<void> {
  const path = folder.path("lists.json");
  await writeJson(path, { digest, counts });
  tracker.artifact(path);
  tracker.tags({ listsDigest: digest });
}
