/** Keywords of ours that hold values of options to each other: what a JSON Schema cannot say, and `rlrf check` should. */
import type { FuncKeywordDefinition } from "ajv/dist/2020.js";
import { dotted } from "./pointer.js";

type Relations = { readonly [keyword: string]: unknown };
type Place = { readonly parentData: Readonly<Record<string, unknown>> };

/**
 * Of a number, or each of a list, and that of the option which the keyword names beside it; defaults are filled in by then, and where there is
 * none nothing is asked.
 */
function heldTo(keyword: string, holds: (value: number, other: number) => boolean): FuncKeywordDefinition {
  return {
    keyword,
    type: ["number", "array"],
    schemaType: "string",
    validate: (name: string, value: unknown, _schema?: unknown, place?: Place) => {
      const other = place?.parentData[name];
      return typeof other !== "number" || numbersIn([value].flat()).every((number) => holds(number, other));
    },
  };
}

/** What is no number has a fault of its own. */
const numbersIn = (values: readonly unknown[]) => values.filter((value) => typeof value === "number");

/** `"heads": {"divides": "hidden"}` */
const divides = heldTo("divides", (value, whole) => whole % value === 0);

/** `"heads": {"dividesHalf": "hidden"}`: what is left for each is even, as rotary positions need it. */
const dividesHalf = heldTo("dividesHalf", (value, whole) => whole % (2 * value) === 0);

/** `"top": {"atMost": "experts"}`, `"interactions": {"atMost": "items"}`; what begins with a slash is a place in the spec, which limits.ts looks up. */
const atMost = heldTo("atMost", (value, limit) => value <= limit);

/** `"interactions": {"ascending": true}`: no entry is less than the one before it. */
const ascending: FuncKeywordDefinition = {
  keyword: "ascending",
  type: "array",
  schemaType: "boolean",
  validate: (_wanted: true, values: readonly unknown[]) => {
    const numbers = numbersIn(values);
    return numbers.every((value, i) => value >= (numbers[i - 1] ?? value));
  },
};

/** `"relevantAbove": {"splits": "ratings"}`: some of what the list ranges over lies above the number, and some does not. */
const splits: FuncKeywordDefinition = {
  keyword: "splits",
  type: "number",
  schemaType: "string",
  validate: (name: string, value: number, _schema?: unknown, place?: Place) => {
    const numbers = numbersIn([place?.parentData[name]].flat());
    return numbers.length === 0 || (Math.min(...numbers) <= value && value < Math.max(...numbers));
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

export const relations: readonly FuncKeywordDefinition[] = [divides, dividesHalf, atMost, ascending, splits, notAllZero];

/** What the relations of an option's schema ask of its value, in words. */
export function relationsText({ divides, dividesHalf, atMost, ascending, splits, notAllZero }: Relations): readonly string[] {
  return [
    ...(divides === undefined ? [] : [`a divisor of \`${divides}\``]),
    ...(dividesHalf === undefined ? [] : [`a divisor of half of \`${dividesHalf}\``]),
    ...(atMost === undefined ? [] : [`at most \`${dotted(String(atMost))}\``]),
    ...(ascending === undefined ? [] : ["ascending"]),
    ...(splits === undefined ? [] : [`at least the lowest of \`${splits}\` and below the highest`]),
    ...(notAllZero === undefined ? [] : [`a \`${notAllZero}\` that is not 0`]),
  ];
}

export function withoutRelations(schema: Relations): Record<string, unknown> {
  return Object.fromEntries(Object.entries(schema).filter(([keyword]) => relations.every((relation) => relation.keyword !== keyword)));
}
