/** Where each value of a spec came from, kept through `extends` and `--set`. */
import { child, type Json, type Position } from "./json.js";

export type Origin =
  | ({ readonly kind: "file"; readonly file: string } & Position)
  | { readonly kind: "set"; readonly path: string }
  /** `of`: whose schema the default stands in: "spec", or a plugin. */
  | { readonly kind: "default"; readonly of: string }
  /** The version that the registry holds. */
  | { readonly kind: "registry" };

/** A spec as it was written, its bases and overrides applied, nothing validated yet. */
export interface SpecSource {
  /** The file, for messages. */
  readonly name: string;
  readonly value: Json;
  readonly origins: Map<string, Origin>;
}

/** "--set" shows no value: it may be a secret that stands in the wrong place. */
export function originText(origin: Origin): string {
  if (origin.kind === "file") return `${origin.file}:${origin.line}:${origin.column}`;
  if (origin.kind === "set") return `--set ${origin.path}=…`;
  return origin.kind === "default" ? `default of ${origin.of}` : "registry";
}

/** The origin of every leaf of a resolved spec, by JSON pointer. */
export function originTexts(spec: object, origins: ReadonlyMap<string, Origin>): Readonly<Record<string, string>> {
  return Object.fromEntries(leaves(spec).map(([pointer]) => [pointer, originText(origins.get(pointer) ?? { kind: "registry" })]));
}

/** Every scalar, and every list of scalars, by JSON pointer. */
export function leaves(value: unknown, pointer = ""): [pointer: string, value: unknown][] {
  const scalar = (item: unknown) => typeof item !== "object" || item === null;
  if (scalar(value) || (Array.isArray(value) && value.every(scalar))) return [[pointer, value]];
  return Object.entries(value as object).flatMap(([key, item]) => leaves(item, child(pointer, key)));
}

/** The origin of the nearest enclosing value that was written by someone. */
export function originOf(origins: ReadonlyMap<string, Origin>, pointer: string): Origin | undefined {
  for (let at = pointer; ; at = at.slice(0, at.lastIndexOf("/"))) {
    const origin = origins.get(at);
    if (origin !== undefined || at === "") return origin;
  }
}

/** `top` over `base`: objects key by key, everything else replaced. Options belong to the plugin they were written for. */
export function merge(base: SpecSource, top: SpecSource): SpecSource {
  const origins = new Map(base.origins);
  const value = mergeValue(base.value, top.value, "");
  return { name: top.name, value, origins };

  function mergeValue(below: Json, above: Json, pointer: string): Json {
    if (!isObject(below) || !isObject(above)) {
      forget(origins, pointer);
      for (const [at, origin] of top.origins) if (at === pointer || at.startsWith(`${pointer}/`)) origins.set(at, origin);
      return above;
    }
    const merged = { ...below };
    if (typeof above.plugin === "string" && above.plugin !== below.plugin)
      for (const key of ["options", "version"]) {
        delete merged[key];
        forget(origins, child(pointer, key));
      }
    for (const [key, item] of Object.entries(above)) merged[key] = mergeValue(merged[key] ?? null, item, child(pointer, key));
    const own = top.origins.get(pointer);
    if (own !== undefined) origins.set(pointer, own);
    return merged;
  }
}

export function forget(origins: Map<string, Origin>, pointer: string): void {
  for (const at of [...origins.keys()]) if (at === pointer || at.startsWith(`${pointer}/`)) origins.delete(at);
}

export function isObject(value: unknown): value is { [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
