import { isObject } from "./origins.js";
import { relationsText } from "./relations.js";

type Schema = { readonly [key: string]: unknown };

/** One line on what a schema takes, for faults and for `rlrf describe`. */
export function expectation(schema: Schema): string {
  const { unit, description } = schema;
  const bounds = [...numberText(schema), ...entriesText(schema), ...relationsText(schema)];
  const short = [typeText(schema) || "a value", ...bounds].join(", ") + (unit === undefined ? "" : ` [${unit}]`);
  return description === undefined ? short : `${short} (${description})`;
}

function typeText({ type = [], enum: allowed, form, pattern, properties, items, prefixItems }: Schema): string {
  if (Array.isArray(allowed)) return `one of: ${allowed.join(", ")}`;
  if (typeof form === "string") return form;
  const types = [type].flat().join(" or ");
  if (isObject(properties) && "plugin" in properties) return `${types} such as {"plugin": "NAME"}`;
  const entry: unknown = isObject(items) ? items : Array.isArray(prefixItems) ? prefixItems[0] : undefined;
  const entries = isObject(entry) ? ` of (${expectation({ ...entry, description: undefined })})` : "";
  return types + entries + (pattern === undefined ? "" : `, like ${pattern}`);
}

/** Of two bounds on one side the narrower one. */
function numberText({ minimum, exclusiveMinimum, maximum, exclusiveMaximum, not }: Schema): string[] {
  const above = Number(exclusiveMinimum ?? Number.NEGATIVE_INFINITY) >= Number(minimum ?? Number.NEGATIVE_INFINITY);
  const below = Number(exclusiveMaximum ?? Number.POSITIVE_INFINITY) <= Number(maximum ?? Number.POSITIVE_INFINITY);
  const [least, most] = [above ? exclusiveMinimum : minimum, below ? exclusiveMaximum : maximum];
  return [
    ...(least === undefined ? [] : [`${above ? ">" : ">="} ${least}`]),
    ...(most === undefined ? [] : [`${below ? "<" : "<="} ${most}`]),
    ...(isObject(not) && "const" in not ? [`not ${JSON.stringify(not.const)}`] : []),
  ];
}

function entriesText({ minItems, maxItems, items, prefixItems }: Schema): string[] {
  const most = maxItems ?? (items === false && Array.isArray(prefixItems) ? prefixItems.length : undefined);
  const entries = (count: unknown) => `${count} ${count === 1 ? "entry" : "entries"}`;
  if (minItems !== undefined && minItems === most) return [`exactly ${entries(most)}`];
  return [
    ...(minItems === undefined ? [] : [`at least ${entries(minItems)}`]),
    ...(most === undefined ? [] : [`at most ${entries(most)}`]),
  ];
}
