import { brokenCheckpoint, quoted } from "./faults.js";
import type { GgufReader } from "./gguf-reader.js";

/** Numbers of metadata by the format's number for their type; of those of 64 bits JavaScript keeps 53. */
const numbers: Readonly<Record<number, { readonly bytes: number; readonly get: (view: DataView, at: number) => number }>> = {
  0: { bytes: 1, get: (view, at) => view.getUint8(at) },
  1: { bytes: 1, get: (view, at) => view.getInt8(at) },
  2: { bytes: 2, get: (view, at) => view.getUint16(at, true) },
  3: { bytes: 2, get: (view, at) => view.getInt16(at, true) },
  4: { bytes: 4, get: (view, at) => view.getUint32(at, true) },
  5: { bytes: 4, get: (view, at) => view.getInt32(at, true) },
  6: { bytes: 4, get: (view, at) => view.getFloat32(at, true) },
  10: { bytes: 8, get: (view, at) => Number(view.getBigUint64(at, true)) },
  11: { bytes: 8, get: (view, at) => Number(view.getBigInt64(at, true)) },
  12: { bytes: 8, get: (view, at) => view.getFloat64(at, true) },
};
const [int32, truth, text, list] = [5, 7, 8, 9];
/** Fewest bytes of what is no number: a byte, a length, a type and a length. */
const others: Readonly<Record<number, number>> = { [truth]: 1, [text]: 8, [list]: 12 };

/** Lists of lists are allowed by the format and used by nobody. */
const deepest = 4;
/** Of all lists together: the largest vocabularies of today have 1.4 million, with their scores, types and merges. */
const mostItems = 1 << 21;
const mostValues = 1 << 16;

/** A file's values by their keys. They are decoded when they are asked for: what nobody asks for takes no memory, however much of it there is. */
export class GgufMetadata {
  private readonly places = new Map<string, { readonly type: number; readonly at: number }>();
  private items = 0;

  /** @param reader at the number of values, and afterwards behind the last one @throws RLRF_CHECKPOINT_BROKEN, TooShort */
  constructor(private readonly reader: GgufReader) {
    const count = reader.count("metadata values", 13, mostValues); // a key's length, a type, one byte
    for (let i = 0; i < count; i++) {
      const key = reader.text();
      if (this.places.has(key)) throw reader.broken(`the metadata has ${quoted(key)} twice`);
      const type = reader.u32();
      this.places.set(key, { type, at: reader.at });
      this.skip(type, 0);
    }
  }

  get path(): string {
    return this.reader.path;
  }

  /** @param otherwise what it is where the file does not say @throws RLRF_CHECKPOINT_BROKEN */
  number(key: string, otherwise?: number): number {
    const place = this.places.get(key);
    if (place === undefined && otherwise !== undefined) return otherwise;
    if (place === undefined) throw brokenCheckpoint(this.path, `the metadata has no ${key}`);
    const number = numbers[place.type];
    if (number === undefined) throw brokenCheckpoint(this.path, `${key} is no number`);
    return this.reader.from(place.at).number(number.bytes, number.get);
  }

  /** @throws RLRF_CHECKPOINT_BROKEN */
  text(key: string): string | undefined {
    const place = this.places.get(key);
    if (place === undefined) return undefined;
    if (place.type !== text) throw brokenCheckpoint(this.path, `${key} is no text`);
    return this.reader.from(place.at).text();
  }

  /** @throws RLRF_CHECKPOINT_BROKEN */
  texts(key: string): readonly string[] {
    const { items, count } = this.listOf(text, key, "texts");
    return Array.from({ length: count }, () => items.text());
  }

  /** @throws RLRF_CHECKPOINT_BROKEN */
  int32s(key: string): Int32Array {
    const { items, count } = this.listOf(int32, key, "32-bit integers");
    return Int32Array.from({ length: count }, () => items.number(4, (view, at) => view.getInt32(at, true)));
  }

  private listOf(type: number, key: string, what: string): { readonly items: GgufReader; readonly count: number } {
    const place = this.places.get(key);
    const items = place?.type === list ? this.reader.from(place.at) : undefined;
    if (items?.u32() !== type) throw brokenCheckpoint(this.path, `${key} is no list of ${what}`);
    return { items, count: items.u64("the number of list items") };
  }

  private skip(type: number, depth: number): void {
    if (type === list) this.skipList(depth + 1);
    else if (type === text) this.reader.skipText();
    else this.reader.skip(this.fewestBytes(type));
  }

  private skipList(depth: number): void {
    const { reader } = this;
    if (depth > deepest) throw reader.broken(`lists within lists, more than ${deepest} deep`);
    const type = reader.u32();
    const bytes = this.fewestBytes(type);
    const count = reader.count("list items", bytes, mostItems - this.items);
    this.items += count;
    if (type === list || type === text) for (let i = 0; i < count; i++) this.skip(type, depth);
    else reader.skip(count * bytes);
  }

  private fewestBytes(type: number): number {
    const bytes = numbers[type]?.bytes ?? others[type];
    if (bytes === undefined) throw this.reader.broken(`${type} is no type of metadata`);
    return bytes;
  }
}
