/** A model ready to rank: its items, its recommenders, and what it takes to hear a text. No text is written here. */
import type { TextEncoder } from "../contracts/recommender.js";
import type { LlmBackend } from "../contracts/llm.js";
import { RlrfError } from "../errors.js";
import { assembleSome, type Services } from "../kernel/assemble.js";
import type { Registry } from "../kernel/registry.js";
import { silentTexts } from "../method/answer-vectors.js";
import { userVectors, VectorCache } from "../method/knowledge.js";
import { metadataText } from "../method/metadata.js";
import { promptOf } from "../method/prompt.js";
import { type ParsedText, parseStructure } from "../method/structure.js";
import type { Knowledge } from "../method/recommender.js";
import { resolveSpec } from "../spec/resolve.js";
import { specFromValue } from "../spec/read.js";
import { parseJson } from "../spec/json.js";
import type { Spec } from "../spec/types.js";
import { forgetOldest } from "../store/forget.js";
import { readTensors, valuesOf } from "../store/tensors.js";
import { type Catalogue, dataOf, readCatalogue } from "./catalogue.js";
import { loadLlm } from "./llm.js";
import { broken, type Model, type ModelDescription, modelFiles, modelLimits, readBounded, windowKey } from "./model.js";
import { Ranker, type Voice } from "./ranker.js";
import { type Reader, type ReaderScale, readerOf, type Told } from "./reader.js";
import { KeptTexts } from "./kept-texts.js";

/** Vectors, and texts as the recommenders hear them, that are kept in memory at most: the oldest are forgotten. */
const vectorsKept = 20_000;
const voicesKept = 20_000;

export interface Ranking {
  /** Of each candidate, in the order in which they were asked. */
  readonly scores: readonly number[];
  /** Positions among the candidates, best first; equal scores keep their order. */
  readonly order: readonly number[];
}

export class ServedModel {
  private constructor(
    readonly model: Model,
    readonly spec: Spec,
    readonly catalogue: Catalogue,
    readonly texts: KeptTexts,
    private readonly ranker: Ranker,
    private readonly vectors: VectorCache | null,
    /** Lists of any length can be ranked, or those of the training's alone. */
    readonly anyLength: boolean,
    private readonly free: () => Promise<void>,
  ) {}

  private readonly voices = new Map<string, Voice>();

  /** @param services with a tensor engine that runs @throws RLRF_MODEL_BROKEN, and what the parts of its spec throw */
  static async load(model: Model, registry: Registry, services: Services): Promise<ServedModel> {
    const spec = await specOf(model, registry);
    const catalogue = await readCatalogue(model);
    const parts = await assembleSome(spec, registry, services, ["encoder", "adaptor", "reranker", "textEncoder"]);
    const freed: (() => unknown)[] = [() => parts.dispose()];
    const free = async () => {
      for (const act of freed.reverse()) await act();
    };
    try {
      const { listLength, ratingScale, textWidth } = model.description;
      const knowledge = await knowledgeOf(model, spec, catalogue);
      const texts = await KeptTexts.read(model, spec, textWidth);
      const data = dataOf(catalogue.items, listLength, ratingScale);
      const ranker = await Ranker.load(model, parts, data, knowledge, spec.protocol.history);
      freed.push(() => ranker.dispose());
      const hears = model.description.hearsUsers ? await hearing(parts.textEncoder, model, spec, registry, services, freed) : null;
      const vectors = hears && new VectorCache(hears, texts.vectorLog, undefined, vectorsKept);
      const anyLength = [1, listLength - 1, listLength + 1].every((length) => ranker.takesLength(length));
      return new ServedModel(model, spec, catalogue, texts, ranker, vectors, anyLength, free);
    } catch (error) {
      await free().catch(() => undefined);
      throw error;
    }
  }

  get description(): ModelDescription {
    return this.model.description;
  }

  reader(told: Told): Reader {
    const { ratingScale, relevantAbove } = this.description;
    const scale: ReaderScale = { ratingScale, relevantAbove, window: this.spec.protocol.window };
    return readerOf(this.catalogue, told, scale);
  }

  promptOf({ data }: Reader) {
    return promptOf(0, data, this.spec.prompt);
  }

  /** A text that the run wrote, or this process since, of this very window. */
  keptText(reader: Reader): string | null {
    return this.texts.get(windowKey(this.promptOf(reader)));
  }

  templateText({ data }: Reader): string {
    return metadataText(0, data, this.spec.prompt);
  }

  parse(text: string): ParsedText {
    return parseStructure(text, this.aspects);
  }

  private get aspects(): string[] {
    return this.spec.prompt.aspects.map(({ name }) => name);
  }

  /** What the recommender hears of a text; null where it hears none. */
  async voiceOf({ values, canonical }: ParsedText): Promise<Voice | null> {
    if (this.vectors === null || Object.keys(values).length === 0) return null;
    const known = this.voices.get(canonical);
    if (known !== undefined) return known;
    const vectors = await userVectors([{ values }], this.aspects, this.vectors);
    if (vectors.width !== this.description.textWidth)
      throw new RlrfError("RLRF_TEXT_WIDTH", {
        message: `the text encoder gave vectors of width ${vectors.width}`,
        expected: `${this.description.textWidth}, as of the model's items`,
      });
    const voice = this.ranker.voiceOf(vectors);
    this.voices.set(canonical, voice);
    forgetOldest(this.voices, voicesKept);
    return voice;
  }

  /** @param candidates numbers of items */
  rank({ history }: Pick<Reader, "history">, candidates: Int32Array, voice: Voice | null): Ranking {
    const scores = this.ranker.rank({ history, candidates, voice });
    const order = Array.from(scores.keys()).sort((a, b) => (scores[b] as number) - (scores[a] as number));
    return { scores: [...scores], order };
  }

  dispose(): Promise<void> {
    return this.free();
  }
}

/** The spec that came with it: checked as if it had been written by hand. @throws what a spec does */
export async function specOf(model: Model, registry: Registry): Promise<Spec> {
  const path = model.file(modelFiles.spec);
  if (path === null) throw broken(model.folder, `it has no ${modelFiles.spec}`);
  const { value } = parseJson(await readBounded(path, modelLimits.spec), path);
  return resolveSpec(specFromValue(value, path), registry).spec;
}

async function knowledgeOf(model: Model, spec: Spec, { items }: Catalogue): Promise<Knowledge | null> {
  const { textWidth: width } = model.description;
  if (width === null) return null;
  const path = model.file(modelFiles.itemVectors);
  if (path === null) throw broken(model.folder, `it has no ${modelFiles.itemVectors}`);
  const vectors = valuesOf(await readTensors(path), "items", Float32Array);
  if (vectors.length !== items.length * width || !vectors.every(Number.isFinite))
    throw broken(path, `${vectors.length} values`, `${width} finite ones for each of ${items.length} items, padding among them`);
  return { users: silentTexts(0, { aspects: spec.prompt.aspects.length, width }), items: vectors };
}

/** The text encoder; one that reads the LLM's hidden states is given the LLM. */
async function hearing(
  textEncoder: TextEncoder,
  model: Model,
  spec: Spec,
  registry: Registry,
  services: Services,
  freed: (() => unknown)[],
): Promise<TextEncoder> {
  if (textEncoder.useLlm === undefined) return textEncoder;
  const parts = await assembleSome(spec, registry, services, ["llm"]);
  freed.push(() => parts.dispose());
  const llm = parts.llm as LlmBackend; // the spec's check has made sure that such an encoder has one
  await loadLlm(model, llm, null);
  textEncoder.useLlm(llm);
  return textEncoder;
}
