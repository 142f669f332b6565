/** Keywords of ours that hold numbers to each other: what a JSON Schema cannot say, and `rlrf check` should. What is no number has a fault of its own. */
import type { FuncKeywordDefinition } from "ajv/dist/2020.js";

/** `"heads": {"divides": "hidden"}`. Defaults are filled in by then. */
const divides: FuncKeywordDefinition = {
  keyword: "divides",
  type: "number",
  schemaType: "string",
  validate: (name: string, value: number, _schema?: unknown, place?: { readonly parentData: Readonly<Record<string, unknown>> }) => {
    const whole = place?.parentData[name];
    return typeof whole !== "number" || whole % value === 0;
  },
};

/** `"characters": {"ascending": true}`: no entry of the list is smaller than the one before. */
const ascending: FuncKeywordDefinition = {
  keyword: "ascending",
  type: "array",
  schemaType: "boolean",
  validate: (wanted: boolean, value: readonly unknown[]) => {
    const numbers = value.filter((entry) => typeof entry === "number");
    return !wanted || numbers.every((entry, i) => i === 0 || entry >= (numbers[i - 1] as number));
  },
};

export const relations: readonly FuncKeywordDefinition[] = [divides, ascending];

/** What the relations of an option's schema ask of its value, in words. */
export function relationsText({ divides, ascending }: { readonly [keyword: string]: unknown }): readonly string[] {
  return [...(divides === undefined ? [] : [`a divisor of \`${divides}\``]), ...(ascending === true ? ["in ascending order"] : [])];
}
