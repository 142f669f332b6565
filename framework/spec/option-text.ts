/** A plugin's options in words, for `rlrf describe` and the catalogue. */
import type { OptionSchema, OptionsSchema } from "../contracts/plugin.js";
import { expectation } from "./expectation.js";
import { isObject } from "./origins.js";

export interface OptionLine {
  /** "beta", "columns.user", "losses[].weight" */
  readonly name: string;
  /** "number, > 0 [1/nats]" */
  readonly takes: string;
  /** "default 0.1", "required", "may be left out" */
  readonly state: string;
  readonly description: string | undefined;
}

/** An option, then what stands within it. */
export function optionLines(options: OptionsSchema | undefined, outer = ""): readonly OptionLine[] {
  const required = new Set(options?.required ?? []);
  return Object.entries(options?.properties ?? {}).flatMap(([key, schema]) => {
    const { description, default: fallback, ...rest } = schema;
    const name = outer + key;
    const state = fallback !== undefined ? `default ${JSON.stringify(fallback)}` : required.has(key) ? "required" : "may be left out";
    if (schema.pluginKind !== undefined) return [{ name, takes: `a plugin of kind ${schema.pluginKind}`, state, description }];
    if (schema.secret === true) return [{ name, takes: 'a secret: {"env": "NAME"}', state, description }];
    return [{ name, takes: expectation(rest), state, description }, ...within(name, schema)];
  });
}

function within(name: string, schema: OptionSchema): readonly OptionLine[] {
  if (isObject(schema.properties)) return optionLines(schema as unknown as OptionsSchema, `${name}.`);
  return isObject(schema.items) ? within(`${name}[]`, schema.items) : [];
}
