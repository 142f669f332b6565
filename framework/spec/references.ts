/** The plugins that a spec names by itself: those of its sections, and the one that samples in the LLM's place. */
import { type PluginKind, pluginKinds, type SpecSection } from "../contracts/kinds.js";
import { isObject } from "./origins.js";

/** Where an assembly keeps what was built of a reference. */
export type Place = SpecSection | "sampler";

export interface Named<Reference> {
  readonly kind: PluginKind;
  readonly place: Place;
  readonly pointer: string;
  readonly reference: Reference;
}

const samplerPointer = "/llm/sampler";

/** @param spec resolved, or as it was written: what it names wrongly is given as it stands there */
export function referencesIn<Reference>(spec: Readonly<Partial<Record<SpecSection, Reference>>>): readonly Named<Reference>[] {
  return (Object.entries(pluginKinds) as [PluginKind, { section: SpecSection }][]).flatMap(([kind, { section }]): Named<Reference>[] => {
    const reference = spec[section];
    if (reference === undefined) return [];
    const own = { kind, place: section, pointer: `/${section}`, reference };
    const sampler = section === "llm" && isObject(reference) ? reference.sampler : undefined;
    if (sampler === undefined) return [own];
    return [own, { kind, place: "sampler", pointer: samplerPointer, reference: sampler as Reference }];
  });
}
