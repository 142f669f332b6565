/** Options that another section bounds (`atMost: "/protocol/listLength"`), at any depth. */
import { type NamedPlugin, optionsWith } from "./named-plugins.js";
import { isObject } from "./origins.js";
import { dotted, pointerKeys } from "./pointer.js";
import type { Spec } from "./types.js";
import type { PlainFault } from "./validate.js";

/** A bound that the spec does not have bounds nothing. */
export function limitFaults(spec: Spec, plugins: readonly NamedPlugin[]): readonly PlainFault[] {
  return plugins.flatMap((plugin) =>
    optionsWith(plugin, "atMost").flatMap(({ schema, value, pointer }): PlainFault[] => {
      const { atMost = "" } = schema;
      const limit = valueAt(spec, atMost);
      if (typeof value !== "number" || typeof limit !== "number" || value <= limit) return [];
      const message = `${dotted(pointer)} is ${value}, and ${dotted(atMost)} ${limit}`;
      return [{ code: "RLRF_SPEC_CONFLICT", pointer, message, expected: `at most ${dotted(atMost)}` }];
    }),
  );
}

function valueAt(spec: Spec, pointer: string): unknown {
  return pointerKeys(pointer)?.reduce<unknown>((place, key) => (isObject(place) ? place[key] : undefined), spec);
}
