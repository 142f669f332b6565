/** Texts by the content of the knowledge window: those that the run wrote, with their vectors, and those written since. */
import { distinctAnswers, type VectorLog } from "../method/knowledge.js";
import { parseStructure } from "../method/structure.js";
import { isObject } from "../spec/origins.js";
import { parseJson } from "../spec/json.js";
import type { Spec } from "../spec/types.js";
import { forgetOldest } from "../store/forget.js";
import { linesOf } from "../store/files.js";
import { hashOf } from "../store/hash.js";
import { readTensors, valuesOf } from "../store/tensors.js";
import { broken, type Model, modelFiles } from "./model.js";

/** Texts that are written while a model is served and kept in memory, at most: the oldest are forgotten. */
const writtenKept = 10_000;

export class KeptTexts {
  private readonly written = new Map<string, string>();

  private constructor(
    private readonly told: ReadonlyMap<string, string>,
    /** Read by the encoder's cache; what is encoded since stays in that. */
    readonly vectorLog: VectorLog,
  ) {}

  /** @throws RLRF_MODEL_BROKEN */
  static async read(model: Model, spec: Spec, width: number | null): Promise<KeptTexts> {
    const path = model.file(modelFiles.texts);
    const told = new Map<string, string>();
    if (path !== null) for await (const { number, text } of linesOf(path)) tell(told, text, `${path}:${number}`);
    const vectors = model.file(modelFiles.textVectors);
    if (vectors === null || width === null) return new KeptTexts(told, noVectors);
    const answers = answersOf(told.values(), spec);
    const values = valuesOf(await readTensors(vectors), "answers", Float32Array);
    if (values.length !== answers.length * width || !values.every(Number.isFinite))
      throw broken(vectors, `${values.length} values`, `${width} finite ones for each of ${answers.length} answers`);
    return new KeptTexts(told, vectorsOf(answers, values, width));
  }

  /** Texts that came with the model. */
  get size(): number {
    return this.told.size;
  }

  get(window: string): string | null {
    return this.written.get(window) ?? this.told.get(window) ?? null;
  }

  keep(window: string, text: string): void {
    this.written.set(window, text);
    forgetOldest(this.written, writtenKept);
  }
}

/** The distinct answers of some texts: rows of the vectors that a model brings. */
export function answersOf(texts: Iterable<string>, spec: Spec): string[] {
  const aspects = spec.prompt.aspects.map(({ name }) => name);
  return distinctAnswers(Array.from(texts, (text) => parseStructure(text, aspects)), aspects).answers; // biome-ignore format: one line
}

function tell(told: Map<string, string>, line: string, where: string): void {
  const { value } = parseJson(line, where);
  if (!isObject(value) || typeof value.window !== "string" || !/^[0-9a-f]{64}$/.test(value.window) || typeof value.text !== "string")
    throw broken(where, "the line is no text of a window", '{"window": sha256, "text"}');
  told.set(value.window, value.text);
}

const noVectors: VectorLog = { get: () => undefined, put: () => {}, refresh: async () => {}, close: () => {} };

function vectorsOf(answers: readonly string[], values: Float32Array, width: number): VectorLog {
  const rows = new Map(answers.map((answer, row) => [hashOf(answer), row]));
  return {
    ...noVectors,
    get(key) {
      const row = rows.get(key);
      if (row === undefined) return undefined;
      return Buffer.from(values.buffer, values.byteOffset + row * width * 4, width * 4).toString("base64");
    },
  };
}
