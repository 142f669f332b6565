/** The texts that the recommender heard, by policy, and how well they keep the asked structure. */
import { join } from "node:path";
import { parseStructure } from "../method/structure.js";
import { mean } from "../metrics/aggregate.js";
import type { StructureView } from "./page/data.js";
import { namesIn, rowsOf } from "./rows.js";

export interface PolicyRows {
  readonly policy: string;
  readonly byUser: ReadonlyMap<string, string>;
  /** By aspect, how many texts answer it exactly once. */
  readonly once: readonly number[];
  readonly conforming: number;
}

/** @param told policies in the order in which they were written; others follow */
export async function readPolicies(folder: string, told: readonly string[], aspects: readonly string[]): Promise<readonly PolicyRows[]> {
  const names = await namesIn(folder, "texts");
  const order = [...told.filter((name) => names.includes(name)), ...names.filter((name) => !told.includes(name))];
  const policies: PolicyRows[] = [];
  for (const policy of order) {
    const byUser = new Map<string, string>();
    const once = aspects.map(() => 0);
    let conforming = 0;
    for await (const { user, text } of rowsOf<{ user: string; text: string }>(join(folder, "texts", `${policy}.jsonl`), "texts")) {
      byUser.set(user, text);
      const parsed = parseStructure(text, aspects);
      const amiss = [...parsed.missing, ...parsed.repeated, ...parsed.empty];
      for (const [i, aspect] of aspects.entries()) once[i] = (once[i] as number) + Number(!amiss.includes(aspect));
      conforming += Number(parsed.conforms);
    }
    policies.push({ policy, byUser, once, conforming });
  }
  return policies;
}

export function structureView(policies: readonly PolicyRows[], aspects: readonly string[]): StructureView {
  const views = policies.map(({ policy, byUser: { size }, once, conforming }) => ({
    policy,
    texts: size,
    rates: once.map((count) => count / size),
    conforming: conforming / size,
  }));
  return { aspects, policies: views.filter(({ texts, rates }) => texts > 0 && !Number.isNaN(mean(rates))) };
}
