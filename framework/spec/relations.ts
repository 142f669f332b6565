/** Keywords of ours that hold an option to another one beside it: what a JSON Schema cannot say, and `rlrf check` should. */
import type { FuncKeywordDefinition } from "ajv/dist/2020.js";

/** `"heads": {"divides": "hidden"}`. Defaults are filled in by then; what is no number has a fault of its own. */
const divides: FuncKeywordDefinition = {
  keyword: "divides",
  type: "number",
  schemaType: "string",
  validate: (name: string, value: number, _schema?: unknown, place?: { readonly parentData: Readonly<Record<string, unknown>> }) => {
    const whole = place?.parentData[name];
    return typeof whole !== "number" || whole % value === 0;
  },
};

export const relations: readonly FuncKeywordDefinition[] = [divides];

/** What the relations of an option's schema ask of its value, in words. */
export function relationsText({ divides }: { readonly [keyword: string]: unknown }): readonly string[] {
  return divides === undefined ? [] : [`a divisor of \`${divides}\``];
}
