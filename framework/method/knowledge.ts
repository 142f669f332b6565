import type { ItemRecord, PreparedData } from "../contracts/dataset.js";
import type { Progress } from "../contracts/plugin.js";
import type { TextEncoder } from "../contracts/recommender.js";
import { RlrfError } from "../errors.js";
import { forgetOldest } from "../store/forget.js";
import { hashOf } from "../store/hash.js";
import { titleOf, textsOf } from "./prompt.js";
import type { AnswerVectors } from "./answer-vectors.js";
import { centred } from "./vectors.js";
import { aspectText, type ParsedText } from "./structure.js";

/** Texts given to the encoder at once: a kill loses at most the vectors of these. */
const textsAtOnce = 512;

/** What vectors are kept in between runs: a text's hash to its vector, base64 of little-endian float32. */
export interface VectorLog {
  get(key: string): string | undefined;
  put(key: string, value: string): void;
  /** Takes up what other processes have put. */
  refresh(): Promise<void>;
  close(): void | Promise<void>;
}

/** Lets one process at a time encode the same texts. */
export type Exclusively = <T>(what: string, key: string, work: () => Promise<T>) => Promise<T>;

const alone: Exclusively = (_what, _key, work) => work();

/** A frozen text encoder that encodes each distinct text once, ever. */
export class VectorCache {
  private readonly vectors = new Map<string, Float32Array>();
  private widthSeen: number | undefined;

  /** @param limit vectors kept in memory between two calls, at most: the oldest are forgotten */
  constructor(
    private readonly encoder: TextEncoder,
    private readonly log: VectorLog,
    private readonly exclusively: Exclusively = alone,
    private readonly limit = Number.POSITIVE_INFINITY,
  ) {}

  /** @param identity names the encoder and its options: vectors of different encoders never meet */
  static async open(
    store: { log(name: string): Promise<VectorLog>; readonly exclusively: Exclusively },
    encoder: TextEncoder,
    identity: string,
  ): Promise<VectorCache> {
    const name = `vectors-${hashOf(identity).slice(0, 16)}`;
    const exclusively: Exclusively = (what, texts, work) => store.exclusively(what, hashOf([name, texts]), work);
    return new VectorCache(encoder, await store.log(name), exclusively, 0); // the log has them in memory
  }

  /** @returns row-major [texts, width]; @throws RLRF_TEXT_WIDTH, RLRF_TEXT_NOT_FINITE */
  async encode(texts: readonly string[], progress?: Progress): Promise<{ readonly width: number; readonly vectors: Float32Array }> {
    // A call that ends meanwhile may forget what this one needs.
    do await this.fill(texts, progress);
    while (texts.some((text) => !this.vectors.has(text)));
    const width = this.widthSeen ?? 0;
    const rows = new Float32Array(texts.length * width);
    for (const [row, text] of texts.entries()) rows.set(this.vectors.get(text) as Float32Array, row * width);
    forgetOldest(this.vectors, this.limit);
    return { width, vectors: rows };
  }

  async close(): Promise<void> {
    await this.log.close();
  }

  private async fill(texts: readonly string[], progress?: Progress): Promise<void> {
    const missing = () => [...new Set(texts)].filter((text) => !this.vectors.has(text) && !this.recall(text));
    if (missing().length === 0) return;
    await this.exclusively("vectors", hashOf(texts), async () => {
      await this.log.refresh();
      await this.encodeAll(missing(), progress);
    });
  }

  private async encodeAll(missing: readonly string[], progress?: Progress): Promise<void> {
    if (missing.length === 0) return;
    const task = progress?.start("text vectors", missing.length, "texts");
    try {
      for (let from = 0; from < missing.length; from += textsAtOnce) {
        const some = missing.slice(from, from + textsAtOnce);
        const { width, vectors } = await this.encoder.encode(some);
        if (vectors.length !== some.length * width) throw wrongWidth(vectors.length / some.length, width);
        for (const [row, text] of some.entries()) this.keep(text, vectors.slice(row * width, (row + 1) * width));
        task?.advance(some.length);
      }
    } finally {
      task?.end();
    }
  }

  /** Takes a vector that an earlier run kept. */
  private recall(text: string): boolean {
    const kept = this.log.get(hashOf(text));
    if (kept === undefined) return false;
    this.accept(text, fromBase64(kept));
    return true;
  }

  private keep(text: string, vector: Float32Array): void {
    this.accept(text, vector);
    this.log.put(hashOf(text), toBase64(vector));
  }

  private accept(text: string, vector: Float32Array): void {
    const width = this.widthSeen ?? vector.length;
    if (vector.length !== width || width === 0) throw wrongWidth(vector.length, width);
    if (!vector.every(Number.isFinite))
      throw new RlrfError("RLRF_TEXT_NOT_FINITE", {
        message: "The text encoder gave a vector with NaN or infinity in it.",
        where: `the text ${JSON.stringify(text.slice(0, 80))}`,
        expected: "finite numbers",
        hint: "Check the encoder's model file (rlrf assets) and its options.",
      });
    this.widthSeen = width;
    this.vectors.set(text, vector);
  }
}

/** Each aspect's answer, encoded by itself: a vector of the whole text would blur likes and dislikes. */
export async function userVectors(
  texts: readonly Pick<ParsedText, "values">[],
  aspects: readonly string[],
  cache: VectorCache,
  progress?: Progress,
): Promise<AnswerVectors> {
  const { answers, rows } = distinctAnswers(texts, aspects);
  const { width, vectors } = await cache.encode(answers, progress);
  const table = new Float32Array(width + vectors.length);
  table.set(vectors, width);
  return { aspects: aspects.length, width, rows, table };
}

/** The distinct answers that texts hold, in the order of their first appearance, and each text's to each aspect: [texts * aspects], from 1; 0 = none. */
export function distinctAnswers(
  texts: readonly Pick<ParsedText, "values">[],
  aspects: readonly string[],
): { readonly answers: string[]; readonly rows: Int32Array } {
  const known = new Map<string, number>();
  const rows = new Int32Array(texts.length * aspects.length);
  for (const [text, { values }] of texts.entries())
    for (const [aspect, name] of aspects.entries()) {
      if (!Object.hasOwn(values, name)) continue;
      const answer = aspectText(name, values[name] ?? "");
      const row = known.get(answer) ?? known.size + 1;
      known.set(answer, row);
      rows[text * aspects.length + aspect] = row;
    }
  return { answers: [...known.keys()], rows };
}

/** @param centre takes their mean from them; @returns [items + 1, width]; row 0 is padding, zeros */
export async function itemVectors(
  data: PreparedData,
  cache: VectorCache,
  centre: boolean,
  progress?: Progress,
): Promise<{ readonly width: number; readonly vectors: Float32Array }> {
  const encoded = await cache.encode(data.items.slice(1).map(itemText), progress);
  const { width, vectors } = centre ? centred(encoded) : encoded;
  const rows = new Float32Array(vectors.length + width);
  rows.set(vectors, width);
  return { width, vectors: rows };
}

/** An item in the words that users' aspects are made of: "Heat (1995). genres: Action, Crime". */
export function itemText(item: ItemRecord): string {
  const described = Object.entries(item.fields)
    .filter(([field]) => field !== "year")
    .map(([field, value]) => [field, textsOf(value)] as const)
    .filter(([, values]) => values.length > 0);
  return [titleOf(item), ...described.map(([field, values]) => `${field}: ${values.join(", ")}`)].join(". ");
}

function wrongWidth(got: number, expected: number): RlrfError {
  return new RlrfError("RLRF_TEXT_WIDTH", {
    message: `The text encoder gave a vector of width ${got}.`,
    expected: expected === 0 ? "at least one number a text" : `width ${expected}, as of all other texts`,
    hint: "One run uses one encoder of one width; after changing a model's files under the same name, give the plugin a new version or empty the store.",
  });
}

function toBase64(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString("base64");
}

function fromBase64(text: string): Float32Array {
  const bytes = new Uint8Array(Buffer.from(text, "base64"));
  return new Float32Array(bytes.buffer, 0, Math.floor(bytes.byteLength / 4));
}
