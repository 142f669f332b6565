/** Texts of data sets that were taken from web pages. */

const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: " " };

/** Without HTML's tags and entities, on one line, without doubled spaces. */
export function withoutMarkup(text: string): string {
  return text
    .replace(/<\/?[a-z][^<>]{0,200}>/gi, " ")
    .replace(
      /&(#\d{1,6}|[a-z]{2,6});/g,
      (whole, name: string) =>
        entities[name] ?? (name.startsWith("#") ? String.fromCodePoint(Math.min(Number(name.slice(1)), 0x10ffff)) : whole),
    )
    .replace(/\s+/g, " ")
    .trim();
}
