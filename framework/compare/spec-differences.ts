/** Where the specs of runs differ. */
import { child } from "../spec/json.js";
import { isObject } from "../spec/origins.js";

export interface SpecDifference {
  /** JSON pointer (RFC 6901). */
  readonly pointer: string;
  /** One a spec, in their order; undefined where a spec has nothing there. */
  readonly values: readonly unknown[];
}

/** The pointers below which some specs differ, as deep as all of them go, in the order of the first spec that has them. */
export function specDifferences(specs: readonly unknown[], pointer = ""): SpecDifference[] {
  const [first] = specs;
  if (specs.every((spec) => same(spec, first))) return [];
  if (!specs.every(isObject)) return [{ pointer, values: specs }];
  const keys = [...new Set(specs.flatMap(Object.keys))];
  return keys.flatMap((key) =>
    specDifferences(
      specs.map((spec) => (Object.hasOwn(spec, key) ? spec[key] : undefined)),
      child(pointer, key),
    ),
  );
}

function same(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((entry, i) => same(entry, b[i]));
  if (!isObject(a) || !isObject(b)) return a === b;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && same(a[key], b[key]));
}
