import type { ItemRecord } from "../contracts/dataset.js";
import type { Aspect, Prompt } from "../spec/types.js";
import { type ReaderData, textsOf, windowOf } from "./prompt.js";
import { writeStructure } from "./structure.js";

/** The answer where the window holds nothing to answer from. */
const nothing = "nothing in particular";

/**
 * What a fixed template, without any LLM, answers from the knowledge window: the honest rival that an LLM has to beat.
 * @returns a text in the asked structure
 */
export function metadataText(user: number, data: ReaderData, prompt: Prompt): string {
  const values = prompt.aspects.map((aspect) => [aspect.name, answer(user, data, aspect)] as const);
  return writeStructure(
    Object.fromEntries(values),
    prompt.aspects.map(({ name }) => name),
  );
}

/** The `top` heaviest values of the field among the liked or disliked items, heaviest first; ties in alphabetical order. */
function answer(user: number, data: ReaderData, { from, of, top }: Aspect): string {
  const ranked = [...weights(user, data, from, of)].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  return ranked.length === 0
    ? nothing
    : ranked
        .slice(0, top)
        .map(([value]) => value)
        .join(", ");
}

/** An item of several values gives each its share, so that one of six genres does not count six times. */
function weights(user: number, data: ReaderData, field: string, of: Aspect["of"]): ReadonlyMap<string, number> {
  const wanted = of === "liked" ? 1 : 0;
  const total = new Map<string, number>();
  const { from, to } = windowOf(user, data);
  for (let at = from; at < to; at++) {
    if (data.sequence.relevant[at] !== wanted) continue;
    const values = fieldValues(data.items[data.sequence.items[at] ?? 0], field);
    for (const value of values) total.set(value, (total.get(value) ?? 0) + 1 / values.length);
  }
  return total;
}

/** The values of an item's field; a year is answered by its decade, since a single year says little. */
export function fieldValues(item: ItemRecord | undefined, field: string): readonly string[] {
  if (item === undefined || !Object.hasOwn(item.fields, field)) return [];
  const values = textsOf(item.fields[field]);
  return field === "year" ? values.map((year) => (/^\d{4}$/.test(year) ? `${year.slice(0, 3)}0s` : year)) : values;
}
