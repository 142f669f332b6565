/** Which plugins a plugin says it works with (`worksWith`): held against a resolved spec, from the registry alone. */
import { type PluginKind, pluginKinds } from "../contracts/kinds.js";
import type { OptionSchema, Partners } from "../contracts/plugin.js";
import type { PluginEntry, Registry } from "../kernel/registry.js";
import { expectation } from "./expectation.js";
import { annotated } from "./options.js";
import type { PluginReference, Spec } from "./types.js";
import { type PlainFault, validate } from "./validate.js";

export function partnerFaults(spec: Spec, registry: Registry): readonly PlainFault[] {
  return Object.entries(pluginKinds).flatMap(([kind, { section }]) => {
    const reference = spec[section];
    if (reference === undefined) return [];
    const entry = registry.find(kind as PluginKind, reference.plugin);
    return partnersOf(entry, reference).flatMap(({ who, partners }) =>
      Object.entries(partners).flatMap(([other, known]) => {
        const { section: at } = pluginKinds[other as PluginKind];
        const partner: PluginReference | undefined = spec[at];
        return partner === undefined ? [] : faultsOf({ who, kind: entry.kind, other, known }, partner, `/${at}`);
      }),
    );
  });
}

/** Of the plugin itself, and of the values of its options that say so. */
function partnersOf(entry: PluginEntry, { options }: PluginReference): readonly { readonly who: string; readonly partners: Partners }[] {
  const who = `the ${entry.kind} "${entry.name}"`;
  const byValue = annotated(entry.options, options, "worksWith").flatMap(({ schema, pointer, value }) => {
    const partners = schema.worksWith?.[String(value)];
    return partners === undefined
      ? []
      : [{ who: `${who} with ${pointer.slice(1).replaceAll("/", ".")} = ${JSON.stringify(value)}`, partners }];
  });
  return [...(entry.worksWith === undefined ? [] : [{ who, partners: entry.worksWith }]), ...byValue];
}

interface Known {
  readonly who: string;
  readonly kind: string;
  readonly other: string;
  readonly known: Readonly<Record<string, Readonly<Record<string, OptionSchema>>>>;
}

function faultsOf({ who, kind, other, known }: Known, partner: PluginReference, pointer: string): readonly PlainFault[] {
  const code = "RLRF_SPEC_CONFLICT";
  const properties = Object.hasOwn(known, partner.plugin) ? known[partner.plugin] : undefined;
  if (properties === undefined) {
    const message = `${who} does not work with the ${other} "${partner.plugin}"`;
    const expected = `one of: ${Object.keys(known).join(", ")}; or another ${kind}`;
    return [{ code, pointer: `${pointer}/plugin`, message, expected }];
  }
  const broken = Object.entries(properties).filter(([option, schema]) => {
    const value = { [option]: partner.options[option] };
    return validate({ type: "object", properties: { [option]: schema }, required: [option] }, value, who).length > 0;
  });
  return broken.map(([option, schema]) => ({
    code,
    pointer: `${pointer}/options/${option}`,
    message: `${who} works with the ${other} "${partner.plugin}" only with another ${option}`,
    expected: "const" in schema ? JSON.stringify(schema.const) : expectation(schema),
  }));
}
