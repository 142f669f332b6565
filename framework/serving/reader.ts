/** A user as a request tells of one, in the numbers that prompts, templates and recommenders work with. */
import type { RatingScale } from "../contracts/dataset.js";
import type { ReaderData } from "../method/prompt.js";
import type { Catalogue } from "./catalogue.js";

export interface Interaction {
  readonly item: string;
  readonly rating: number;
  /** Seconds; of all interactions or of none, which are then in their order. */
  readonly time?: number;
}
export interface Told {
  readonly history: readonly Interaction[];
  /** What the data set tells of users besides: age, gender, occupation. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** First interactions that the text is about; absent = as many as the run's protocol shows. */
  readonly window?: number;
}

export interface Reader {
  /** User 0 of it is the reader. */
  readonly data: ReaderData;
  /** Known items, oldest first. */
  readonly history: Int32Array;
  /** Items of the history that the model does not know: nothing is made of them. */
  readonly unknown: readonly string[];
}

export interface ReaderScale {
  readonly ratingScale: RatingScale;
  readonly relevantAbove: number;
  /** protocol.window */
  readonly window: number;
}

export function readerOf({ items, numbers }: Catalogue, { history, fields, window }: Told, scale: ReaderScale): Reader {
  const ordered = history.every(({ time }) => time !== undefined)
    ? [...history].sort((a, b) => (a.time as number) - (b.time as number)) // stable: equal times keep their order
    : history;
  const shown = Math.min(window ?? scale.window, ordered.length);
  const known = ordered.filter(({ item }) => numbers.has(item));
  const sequence = {
    offsets: Int32Array.of(0, known.length),
    items: Int32Array.from(known, ({ item }) => numbers.get(item) as number),
    ratings: Float32Array.from(known, ({ rating }) => rating),
    relevant: Uint8Array.from(known, ({ rating }) => Number(rating > scale.relevantAbove)),
  };
  const windows = Int32Array.of(ordered.slice(0, shown).filter(({ item }) => numbers.has(item)).length);
  return {
    data: { users: [{ id: "", fields }], items, ratingScale: scale.ratingScale, sequence, windows },
    history: sequence.items,
    unknown: ordered.filter(({ item }) => !numbers.has(item)).map(({ item }) => item),
  };
}
