/** Which sections of a spec have no fault of their own: what is asked between sections is asked of these. */
import type { Spec } from "./types.js";
import type { PlainFault } from "./validate.js";

export type Section = keyof Spec;

export interface SoundSections {
  sound(section: Section): boolean;
  /** The spec without the others. */
  readonly spec: Spec;
}

/** @param draft every default filled in */
export function soundSections(draft: Readonly<Record<string, unknown>>, faults: readonly PlainFault[]): SoundSections {
  const faulty = new Set(faults.map(({ pointer }) => pointer.split("/")[1]));
  const sound = (section: string) => !faulty.has(section);
  return { sound, spec: Object.fromEntries(Object.entries(draft).filter(([section]) => sound(section))) as unknown as Spec };
}
