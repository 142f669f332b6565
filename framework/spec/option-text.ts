/** A plugin's options in words, for `rlrf describe` and the catalogue. */
import type { OptionsSchema } from "../contracts/plugin.js";
import { expectation } from "./expectation.js";

export interface OptionLine {
  readonly name: string;
  /** "number, > 0 [1/nats]" */
  readonly takes: string;
  /** "default 0.1", "required", "may be left out" */
  readonly state: string;
  readonly description: string | undefined;
}

export function optionLines(options: OptionsSchema | undefined): readonly OptionLine[] {
  const required = new Set(options?.required ?? []);
  return Object.entries(options?.properties ?? {}).map(([name, schema]) => {
    const { description, default: fallback, ...rest } = schema;
    const state = fallback !== undefined ? `default ${JSON.stringify(fallback)}` : required.has(name) ? "required" : "may be left out";
    const takes =
      schema.pluginKind !== undefined
        ? `a plugin of kind ${schema.pluginKind}`
        : schema.secret === true
          ? 'a secret: {"env": "NAME"}'
          : expectation(rest);
    return { name, takes, state, description };
  });
}
