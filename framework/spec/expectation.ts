import { isObject } from "./origins.js";
import { relationsText } from "./relations.js";

/** One line on what a schema takes, for faults and for `rlrf describe`. */
export function expectation(schema: { readonly [key: string]: unknown }): string {
  const { minimum, exclusiveMinimum, maximum, exclusiveMaximum, minItems, pattern, unit, description } = schema;
  const allowed = Array.isArray(schema.enum) ? `one of: ${schema.enum.join(", ")}` : undefined;
  const items = isObject(schema.items) ? ` of (${expectation({ ...schema.items, description: undefined })})` : "";
  const type = allowed ?? [schema.type ?? []].flat().join(" or ") + items;
  const bounds = [
    minimum === undefined ? undefined : `>= ${minimum}`,
    exclusiveMinimum === undefined ? undefined : `> ${exclusiveMinimum}`,
    maximum === undefined ? undefined : `<= ${maximum}`,
    exclusiveMaximum === undefined ? undefined : `< ${exclusiveMaximum}`,
    minItems === undefined ? undefined : `at least ${minItems} entries`,
    pattern === undefined ? undefined : `like ${pattern}`,
    ...relationsText(schema),
  ].filter((bound) => bound !== undefined);
  const short = [type || "a value", ...bounds].join(", ") + (unit === undefined ? "" : ` [${unit}]`);
  return description === undefined ? short : `${short} (${description})`;
}
