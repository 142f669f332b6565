/** Which plugins a plugin says it works with (`worksWith`): held against a resolved spec, from the registry alone. */
import { type PluginKind, pluginKinds } from "../contracts/kinds.js";
import type { OptionSchema } from "../contracts/plugin.js";
import type { PluginEntry, Registry } from "../kernel/registry.js";
import { expectation } from "./expectation.js";
import type { PluginReference, Spec } from "./types.js";
import { type PlainFault, validate } from "./validate.js";

export function partnerFaults(spec: Spec, registry: Registry): readonly PlainFault[] {
  return Object.entries(pluginKinds).flatMap(([kind, { section }]) => {
    const reference = spec[section];
    if (reference === undefined) return [];
    const entry = registry.find(kind as PluginKind, reference.plugin);
    return Object.entries(entry.worksWith ?? {}).flatMap(([other, known]) => {
      const { section: at } = pluginKinds[other as PluginKind];
      const partner: PluginReference | undefined = spec[at];
      return partner === undefined ? [] : faultsOf(entry, other, partner, `/${at}`, known);
    });
  });
}

function faultsOf(
  { kind, name }: PluginEntry,
  other: string,
  partner: PluginReference,
  pointer: string,
  known: Readonly<Record<string, Readonly<Record<string, OptionSchema>>>>,
): readonly PlainFault[] {
  const code = "RLRF_SPEC_CONFLICT";
  const properties = Object.hasOwn(known, partner.plugin) ? known[partner.plugin] : undefined;
  if (properties === undefined) {
    const message = `the ${kind} "${name}" has no ${other} "${partner.plugin}"`;
    const expected = `one of: ${Object.keys(known).join(", ")}; or another ${kind}`;
    return [{ code, pointer: `${pointer}/plugin`, message, expected }];
  }
  const broken = Object.entries(properties).filter(([option, schema]) => {
    const value = { [option]: partner.options[option] };
    return validate({ type: "object", properties: { [option]: schema }, required: [option] }, value, `${kind}/${name}`).length > 0;
  });
  return broken.map(([option, schema]) => ({
    code,
    pointer: `${pointer}/options/${option}`,
    message: `the ${kind} "${name}" has the ${other} "${partner.plugin}" only with another ${option}`,
    expected: "const" in schema ? JSON.stringify(schema.const) : expectation(schema),
  }));
}
