/** Every plugin that a spec names, those within the options of others included. */
import type { RewardNeed } from "../contracts/feedback.js";
import type { PluginKind } from "../contracts/kinds.js";
import type { PluginEntry, Registry } from "../kernel/registry.js";
import { type Annotated, annotated } from "./options.js";
import { referencesIn } from "./references.js";
import type { PluginReference, Spec } from "./types.js";

export interface NamedPlugin {
  readonly entry: PluginEntry;
  readonly reference: PluginReference;
  /** Where it is named. */
  readonly pointer: string;
  /** Those that its own options name. */
  readonly within: readonly NamedPlugin[];
}

/** @param spec resolved. @returns in the order of the sections, the outer one first */
export function namedPlugins(spec: Spec, registry: Registry): readonly NamedPlugin[] {
  return referencesIn<PluginReference>(spec).flatMap(({ kind, reference, pointer }) =>
    withInner(named(kind, reference, registry, pointer)),
  );
}

function named(kind: PluginKind, reference: PluginReference, registry: Registry, pointer: string): NamedPlugin {
  const own = { entry: registry.find(kind, reference.plugin), reference, pointer };
  const within = optionsWith(own, "pluginKind").map(({ schema, value, pointer: at }) =>
    named(schema.pluginKind as PluginKind, value as PluginReference, registry, at),
  );
  return { ...own, within };
}

/** The values of its own options whose schema carries one of our keywords, each with its place in the spec. */
export function optionsWith(
  { entry, reference, pointer }: Omit<NamedPlugin, "within">,
  keyword: Parameters<typeof annotated>[2],
): Annotated[] {
  return annotated(entry.options, reference.options, keyword).map((found) => ({ ...found, pointer: `${pointer}/options${found.pointer}` }));
}

/** The plugin and all within it, at any depth. */
export function withInner(plugin: NamedPlugin): readonly NamedPlugin[] {
  return [plugin, ...plugin.within.flatMap(withInner)];
}

/** Those of its own kind that its options name: the parts of a sum, the reward that another one changes. */
export function partsOf({ entry, within }: NamedPlugin): readonly NamedPlugin[] {
  return within.filter((plugin) => plugin.entry.kind === entry.kind);
}

/** As its decorator says: a reward that takes others needs, besides, what they need. */
export function needs({ entry }: NamedPlugin, need: RewardNeed): boolean {
  return entry.needs?.includes(need) ?? false;
}
