/** Whether the data has what the prompt's aspects are answered from: without it a template says "nothing in particular" of everybody. */
import type { ItemRecord } from "../contracts/dataset.js";
import { RlrfError } from "../errors.js";
import { didYouMean } from "../spec/nearest.js";
import type { Spec } from "../spec/types.js";
import { textsOf } from "./prompt.js";

/** Names of the fields of which some item has a value, in alphabetical order. */
export function fieldNames(items: readonly ItemRecord[]): string[] {
  const names = new Set<string>();
  for (const { fields } of items)
    for (const [name, value] of Object.entries(fields)) if (!names.has(name) && textsOf(value).length > 0) names.add(name);
  return [...names].sort();
}

/**
 * @param learns the LLM is trained by the run, on what the template answers
 * @throws RLRF_DATA_FIELDS
 */
export function mustHaveFields(items: readonly ItemRecord[], spec: Spec, learns = false): void {
  if (!learns && !templateAnswers(spec)) return;
  const there = fieldNames(items);
  const aspects = [...spec.prompt.aspects.entries()].filter(([, { from }]) => !there.includes(from));
  if (aspects.length === 0) return;
  const missing = [...new Set(aspects.map(([, { from }]) => from))];
  throw new RlrfError("RLRF_DATA_FIELDS", {
    message: `no item has a field ${missing.join(" or ")}, from which the template answers ${aspects.map(([, { name }]) => name).join(" and ")}`,
    where: aspects.map(([i]) => `/prompt/aspects/${i}/from`).join(", "),
    expected: there.length === 0 ? "items with fields: these have none" : `one of the fields that items have: ${there.join(", ")}`,
    hint: [...missing.flatMap((name) => didYouMean(name, there) ?? []), "leave the aspect out, or give the items the field"].join(" "),
  });
}

/** An LLM that is published and not warmed up answers by what it knows; everything else hears the template, or learns from it. */
function templateAnswers({ llm, arms, alignment }: Spec): boolean {
  if (llm === undefined || arms.includes("metadata")) return true;
  return alignment !== undefined && (alignment.warmup !== null || alignment.hears === "template");
}
