/** Keywords of ours that hold values of options to each other: what a JSON Schema cannot say, and `rlrf check` should. */
import type { FuncKeywordDefinition } from "ajv/dist/2020.js";
import { dotted } from "./pointer.js";

type Relations = { readonly [keyword: string]: unknown };
type Place = { readonly parentData: Readonly<Record<string, unknown>> };

/** Of a number and that of the option which the keyword names beside it; defaults are filled in by then, and where there is none nothing is asked. */
function heldTo(keyword: string, holds: (value: number, other: number) => boolean): FuncKeywordDefinition {
  return {
    keyword,
    type: "number",
    schemaType: "string",
    validate: (name: string, value: number, _schema?: unknown, place?: Place) => {
      const other = place?.parentData[name];
      return typeof other !== "number" || holds(value, other);
    },
  };
}

/** `"heads": {"divides": "hidden"}` */
const divides = heldTo("divides", (value, whole) => whole % value === 0);

/** `"heads": {"dividesHalf": "hidden"}`: what is left for each is even, as rotary positions need it. */
const dividesHalf = heldTo("dividesHalf", (value, whole) => whole % (2 * value) === 0);

/** `"top": {"atMost": "experts"}`; what begins with a slash is a place in the spec, which limits.ts looks up. */
const atMost = heldTo("atMost", (value, limit) => value <= limit);

/** `"interactions": {"ascending": true}`: no entry is less than the one before it. */
const ascending: FuncKeywordDefinition = {
  keyword: "ascending",
  type: "array",
  schemaType: "boolean",
  validate: (_wanted: true, values: readonly unknown[]) => {
    const numbers = values.filter((value) => typeof value === "number"); // what is no number has a fault of its own
    return numbers.every((value, i) => value >= (numbers[i - 1] ?? value));
  },
};

/** `"losses": {"notAllZero": "weight"}`: an entry whose weight is 0 alone does nothing. */
const notAllZero: FuncKeywordDefinition = {
  keyword: "notAllZero",
  type: "array",
  schemaType: "string",
  validate: (name: string, entries: readonly unknown[]) =>
    entries.length === 0 || entries.some((entry) => (entry as Relations | null)?.[name] !== 0),
};

export const relations: readonly FuncKeywordDefinition[] = [divides, dividesHalf, atMost, ascending, notAllZero];

/** What the relations of an option's schema ask of its value, in words. */
export function relationsText({ divides, dividesHalf, atMost, ascending, notAllZero }: Relations): readonly string[] {
  return [
    ...(divides === undefined ? [] : [`a divisor of \`${divides}\``]),
    ...(dividesHalf === undefined ? [] : [`a divisor of half of \`${dividesHalf}\``]),
    ...(atMost === undefined ? [] : [`at most \`${dotted(String(atMost))}\``]),
    ...(ascending === undefined ? [] : ["ascending"]),
    ...(notAllZero === undefined ? [] : [`a \`${notAllZero}\` that is not 0`]),
  ];
}

export function withoutRelations(schema: Relations): Record<string, unknown> {
  return Object.fromEntries(Object.entries(schema).filter(([keyword]) => relations.every((relation) => relation.keyword !== keyword)));
}
