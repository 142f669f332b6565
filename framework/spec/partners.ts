/** Which plugins a plugin says it works with (`worksWith`): held against a resolved spec, from the registry alone. */
import { type PluginKind, pluginKinds } from "../contracts/kinds.js";
import type { OptionSchema, Partners } from "../contracts/plugin.js";
import type { PluginEntry } from "../kernel/registry.js";
import { expectation } from "./expectation.js";
import { type NamedPlugin, partsOf } from "./named-plugins.js";
import { annotated } from "./options.js";
import type { PluginReference } from "./types.js";
import { type PlainFault, validate } from "./validate.js";

/** Of every plugin that says so, at any depth, against the sections' plugins and their parts. */
export function partnerFaults(plugins: readonly NamedPlugin[]): readonly PlainFault[] {
  return plugins.flatMap(({ entry, reference }) =>
    partnersOf(entry, reference).flatMap(({ who, partners }) =>
      Object.entries(partners).flatMap(([other, known]) => {
        const partner = plugins.find(({ pointer }) => pointer === `/${pluginKinds[other as PluginKind].section}`);
        return partner === undefined ? [] : faultsWithin({ who, kind: entry.kind, other, known }, partner);
      }),
    ),
  );
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

/** Of the partner itself; where it is one of those known, of its parts. */
function faultsWithin(wanted: Known, partner: NamedPlugin): readonly PlainFault[] {
  const faults = faultsOf(wanted, partner);
  return faults.length > 0 ? faults : partsOf(partner).flatMap((part) => faultsWithin(wanted, part));
}

function faultsOf({ who, kind, other, known }: Known, { reference: partner, pointer }: NamedPlugin): readonly PlainFault[] {
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
