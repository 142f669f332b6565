/** The items that a model knows, by the data set's own ids. */
import type { ItemRecord, PreparedData } from "../contracts/dataset.js";
import { parseJson } from "../spec/json.js";
import { isObject } from "../spec/origins.js";
import { linesOf } from "../store/files.js";
import { broken, type Model, modelFiles } from "./model.js";

export interface Catalogue {
  /** Item 0 is padding. */
  readonly items: readonly ItemRecord[];
  readonly numbers: ReadonlyMap<string, number>;
}

/** @throws RLRF_MODEL_BROKEN */
export async function readCatalogue(model: Model): Promise<Catalogue> {
  const path = model.file(modelFiles.items);
  if (path === null) throw broken(model.folder, `it has no ${modelFiles.items}`);
  const items: ItemRecord[] = [{ id: "", title: "", fields: {} }];
  const numbers = new Map<string, number>();
  for await (const { number, text } of linesOf(path)) {
    const where = `${path}:${number}`;
    const { value } = parseJson(text, where);
    if (!isObject(value) || typeof value.id !== "string" || value.id === "" || typeof value.title !== "string" || !isObject(value.fields))
      throw broken(where, "the line is no item", '{"id", "title", "fields"}');
    if (numbers.has(value.id)) throw broken(where, `the item ${JSON.stringify(value.id)} stands twice`);
    numbers.set(value.id, items.length);
    items.push({ id: value.id, title: value.title, fields: value.fields });
  }
  return { items, numbers };
}

/** Prepared data of these items and nobody: what a network is built for whose lists come from elsewhere. */
export function dataOf(items: readonly ItemRecord[], listLength: number, ratingScale: PreparedData["ratingScale"]): PreparedData {
  const none = new Int32Array();
  return {
    users: [],
    items,
    ratingScale,
    sequence: { offsets: new Int32Array(1), items: none, ratings: new Float32Array(), relevant: new Uint8Array() },
    windows: none,
    lists: { count: 0, length: listLength, user: none, start: none, candidates: none, labels: new Uint8Array() },
    parts: { evaluate: [], align: none, reward: [], labels: [] },
    counts: {},
  };
}
