/** What an aspect is called: the same rule for the names in a spec and for those in a model's answer. */

/** Marks by which chat models adorn a name or a value: bullets, emphasis, headings, quotes. */
const ornament = /^[\s*_#>•-]+|[\s*_]+$/gu;

export function withoutOrnament(text: string): string {
  return text.replace(ornament, "").replace(/\s+/gu, " ");
}

/** Equal for names of the same aspect: they are compared without case, spaces and ornament. */
export function aspectKey(name: string): string {
  return withoutOrnament(name).toLowerCase().replace(/\s/gu, "");
}
