/** What a spec counts on and this machine does not have. `rlrf check` asks; whoever only reads a spec need not have it. */
import type { Registry } from "../kernel/registry.js";
import { namedPlugins } from "./named-plugins.js";
import { needsOf } from "./needs.js";
import { annotated } from "./options.js";
import { dotted } from "./pointer.js";
import type { Spec } from "./types.js";
import type { PlainFault } from "./validate.js";

export function missingHere(spec: Spec, registry: Registry): readonly PlainFault[] {
  return [...missingFiles(spec, registry), ...missingVariables(spec, registry)];
}

function missingFiles(spec: Spec, registry: Registry): readonly PlainFault[] {
  return needsOf(spec, registry).files.flatMap(({ path, pointer, exists }): PlainFault[] => {
    const message = `${dotted(pointer)}: there is no ${JSON.stringify(path)}`;
    const expected = "a path from the folder in which rlrf is called";
    return exists ? [] : [{ code: "RLRF_FILE_MISSING", pointer, message, expected }];
  });
}

function missingVariables(spec: Spec, registry: Registry): readonly PlainFault[] {
  return namedPlugins(spec, registry).flatMap(({ entry, reference, pointer }) =>
    annotated(entry.options, reference.options, "fromEnvironment").flatMap(({ schema, value, pointer: within }): PlainFault[] => {
      const { fromEnvironment = "", description } = schema;
      if (value !== null || process.env[fromEnvironment]) return [];
      const at = `${pointer}/options${within}`;
      const message = `${dotted(at)} is null, and the environment variable ${fromEnvironment} is not set`;
      return [{ code: "RLRF_SPEC_MISSING", pointer: at, message, ...(description !== undefined && { expected: description }) }];
    }),
  );
}
