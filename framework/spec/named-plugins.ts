/** Every plugin that a spec names, those within the options of others included. */
import type { PluginKind } from "../contracts/kinds.js";
import type { PluginEntry, Registry } from "../kernel/registry.js";
import { annotated } from "./options.js";
import { referencesIn } from "./references.js";
import type { PluginReference, Spec } from "./types.js";

export interface NamedPlugin {
  readonly entry: PluginEntry;
  readonly reference: PluginReference;
  /** Where it is named. */
  readonly pointer: string;
}

/** @param spec resolved. @returns in the order of the sections, the outer one first */
export function namedPlugins(spec: Spec, registry: Registry): readonly NamedPlugin[] {
  return referencesIn<PluginReference>(spec).flatMap(({ kind, reference, pointer }) => withInner(kind, reference, registry, pointer));
}

function withInner(kind: PluginKind, reference: PluginReference, registry: Registry, pointer: string): NamedPlugin[] {
  const entry = registry.find(kind, reference.plugin);
  const inner = annotated(entry.options, reference.options, "pluginKind").flatMap(({ schema, value, pointer: at }) =>
    withInner(schema.pluginKind as PluginKind, value as PluginReference, registry, `${pointer}/options${at}`),
  );
  return [{ entry, reference, pointer }, ...inner];
}
