/** A plugin's options schema: made strict for ajv, and walked for the keywords that are ours. */
import type { OptionSchema, OptionsSchema, PluginIdentity } from "../contracts/plugin.js";
import { child } from "./json.js";
import { isObject } from "./origins.js";

/** The keywords that ajv does not know, and passes over. */
export const ownKeywords = ["unit", "pluginKind", "secret", "assets", "file", "fromEnvironment", "form", "worksWith"] as const;

/** How a section or a nested option names a plugin. */
export const referenceSchema = {
  type: "object",
  properties: {
    plugin: { type: "string", minLength: 1, description: "name of the plugin" },
    version: { type: "string", description: "range of versions, e.g. ^1.2" },
    options: { type: "object", default: {}, description: "the plugin's own options" },
  },
  required: ["plugin"],
  additionalProperties: false,
} as const;

/** `secret` stays, so that no message shows what stands in its place. */
const secretSchema = {
  type: "object",
  properties: { env: { type: "string", pattern: "^[A-Z_][A-Z0-9_]*$", secret: true, description: "name of an environment variable" } },
  required: ["env"],
  additionalProperties: false,
  secret: true,
} as const;

/** What ajv validates a plugin's options with: no schema means no options, and unknown keys are faults at every depth. */
export function strictSchema({ options }: Pick<PluginIdentity, "options">): object {
  return strict(options ?? ({ type: "object" } satisfies OptionsSchema)) as object;
}

function strict(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(strict);
  if (!isObject(schema)) return schema;
  const { description, default: fallback, unit } = schema;
  const kept = Object.fromEntries(Object.entries({ description, default: fallback, unit }).filter(([, value]) => value !== undefined));
  if (schema.pluginKind !== undefined) return { ...referenceSchema, ...kept };
  if (schema.secret === true) return { ...secretSchema, ...kept };
  const copy: Record<string, unknown> = { ...schema };
  if (isObject(schema.properties))
    copy.properties = Object.fromEntries(Object.entries(schema.properties).map(([key, property]) => [key, strict(property)]));
  for (const keyword of ["items", "prefixItems", "additionalProperties"]) if (keyword in schema) copy[keyword] = strict(schema[keyword]);
  if (schema.type === "object" && !("additionalProperties" in schema)) copy.additionalProperties = false;
  return copy;
}

type Values = Readonly<Record<string, unknown>>;

/** Whether an LLM with these options can write with an adapter that was tuned elsewhere. */
export function takesAdapters({ takesAdapters: when }: Pick<PluginIdentity, "takesAdapters">, options: Values): boolean {
  return when === true || hold(when, options);
}

/** Whether an LLM with these options writes with the weights of the one that it samples for. */
export function takesWeights({ takesWeights: when }: Pick<PluginIdentity, "takesWeights">, options: Values): boolean {
  return hold(when, options);
}

function hold(wanted: Values | undefined, options: Values): boolean {
  return wanted !== undefined && Object.entries(wanted).every(([key, value]) => options[key] === value);
}

export interface Annotated {
  readonly schema: OptionSchema;
  readonly pointer: string;
  readonly value: unknown;
}

/** The values whose schema carries one of our keywords, in the order in which they stand; not inside a reference or a secret. */
export function annotated(schema: unknown, value: unknown, keyword: (typeof ownKeywords)[number] | "atMost", pointer = ""): Annotated[] {
  if (!isObject(schema) || value === undefined) return [];
  if (keyword in schema) return [{ schema: schema as OptionSchema, pointer, value }];
  if (Array.isArray(value)) {
    const first = Array.isArray(schema.prefixItems) ? schema.prefixItems : [];
    return value.flatMap((item, i) => annotated(first[i] ?? schema.items, item, keyword, child(pointer, i)));
  }
  if (!isObject(value)) return [];
  const properties = isObject(schema.properties) ? schema.properties : {};
  return Object.entries(value).flatMap(([key, item]) => {
    const own = Object.hasOwn(properties, key) ? properties[key] : schema.additionalProperties;
    return annotated(own, item, keyword, child(pointer, key));
  });
}

/** A frozen copy of `value` in which the values at these pointers are others (which are left as they are). */
export function substitute(value: unknown, replacements: ReadonlyMap<string, unknown>, pointer = ""): unknown {
  if (replacements.has(pointer)) return replacements.get(pointer);
  if (Array.isArray(value)) return Object.freeze(value.map((item, i) => substitute(item, replacements, child(pointer, i))));
  if (!isObject(value)) return value;
  return Object.freeze(
    Object.fromEntries(Object.entries(value).map(([key, item]) => [key, substitute(item, replacements, child(pointer, key))])),
  );
}
