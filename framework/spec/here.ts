/** What a spec counts on and this machine does not have. `rlrf check` and `rlrf run` ask; whoever only reads a spec need not have it. */
import { existsSync } from "node:fs";
import { type NamedPlugin, optionsWith } from "./named-plugins.js";
import { needsOf } from "./needs.js";
import { dotted } from "./pointer.js";
import type { PlainFault } from "./validate.js";

export function missingHere(plugins: readonly NamedPlugin[]): readonly PlainFault[] {
  return [...missingFiles(plugins), ...missingVariables(plugins)];
}

function missingFiles(plugins: readonly NamedPlugin[]): readonly PlainFault[] {
  return needsOf(plugins).files.flatMap(({ path, pointer, exists }): PlainFault[] => {
    const message = `${dotted(pointer)}: ${existsSync(path) ? `${JSON.stringify(path)} is no file` : `there is no ${JSON.stringify(path)}`}`;
    const expected = "a path from the folder in which rlrf is called";
    return exists ? [] : [{ code: "RLRF_FILE_MISSING", pointer, message, expected }];
  });
}

function missingVariables(plugins: readonly NamedPlugin[]): readonly PlainFault[] {
  return plugins.flatMap((plugin) =>
    optionsWith(plugin, "fromEnvironment").flatMap(({ schema, value, pointer }): PlainFault[] => {
      const { fromEnvironment = "", description } = schema;
      if (value !== null || process.env[fromEnvironment]) return [];
      const message = `${dotted(pointer)} is null, and the environment variable ${fromEnvironment} is not set`;
      return [{ code: "RLRF_SPEC_MISSING", pointer, message, ...(description !== undefined && { expected: description }) }];
    }),
  );
}
