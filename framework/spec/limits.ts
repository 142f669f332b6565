/** Options that another section bounds (`atMost: "/protocol/listLength"`), at any depth. */
import type { Registry } from "../kernel/registry.js";
import { namedPlugins } from "./named-plugins.js";
import { annotated } from "./options.js";
import { isObject } from "./origins.js";
import { dotted, pointerKeys } from "./pointer.js";
import type { Spec } from "./types.js";
import type { PlainFault } from "./validate.js";

/** A bound that the spec does not have bounds nothing. */
export function limitFaults(spec: Spec, registry: Registry): readonly PlainFault[] {
  return namedPlugins(spec, registry).flatMap(({ entry, reference, pointer }) =>
    annotated(entry.options, reference.options, "atMost").flatMap(({ schema, value, pointer: within }): PlainFault[] => {
      const { atMost = "" } = schema;
      const limit = valueAt(spec, atMost);
      if (typeof value !== "number" || typeof limit !== "number" || value <= limit) return [];
      const at = `${pointer}/options${within}`;
      const message = `${dotted(at)} is ${value}, and ${dotted(atMost)} ${limit}`;
      return [{ code: "RLRF_SPEC_CONFLICT", pointer: at, message, expected: `at most ${dotted(atMost)}` }];
    }),
  );
}

function valueAt(spec: Spec, pointer: string): unknown {
  return pointerKeys(pointer)?.reduce<unknown>((place, key) => (isObject(place) ? place[key] : undefined), spec);
}
