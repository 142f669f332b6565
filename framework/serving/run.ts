/** A run as `rlrf promote` finds it: what it was, what it reported, and which of its recommenders is wanted. */
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { RlrfError } from "../errors.js";
import type { Registry } from "../kernel/registry.js";
import { readResult } from "../method/read-result.js";
import type { Result } from "../method/result.js";
import { lastPolicy } from "../spec/arms.js";
import { specHash } from "../spec/hash.js";
import { isObject } from "../spec/origins.js";
import { parseJson } from "../spec/json.js";
import { readSpec } from "../spec/read.js";
import { resolveSpec } from "../spec/resolve.js";
import type { Spec } from "../spec/types.js";
import { readRunFile, writtenAnew } from "../store/run-file.js";
import { isSweep, readSweep } from "../sweep/read-report.js";
import type { Chosen } from "./model.js";

export interface EndedRun {
  readonly name: string;
  readonly folder: string;
  readonly spec: Spec;
  readonly specHash: string;
  readonly listsDigest: string;
  readonly result: Result;
}

export interface Wish {
  readonly arm?: string;
  readonly seed?: number | "all";
  readonly users?: Chosen["users"];
}

const listsLimit = 64 << 20;

/** @throws RLRF_PROMOTE_RUN, RLRF_RESULT_FILE, RLRF_JSON, and what a spec does */
export async function readEndedRun(folder: string, registry: Registry): Promise<EndedRun> {
  if (isSweep(folder)) {
    const { trials, best } = await readSweep(folder);
    const trial = `${basename(folder)}/${best?.trials[0] ?? trials[0]?.id}`;
    throw unpromotable(folder, "it is a sweep, and no single run", `name one of its trials: ${trial}`);
  }
  const result = await readResult(folder);
  if (result === null) throw unpromotable(folder, "the run has not ended: it has no result.json", writtenAnew);
  const { spec } = resolveSpec(await readSpec(join(folder, "spec.json")), registry);
  const hash = specHash(spec);
  if (hash !== result.specHash)
    throw unpromotable(folder, `its spec resolves to ${hash.slice(0, 12)} here, the run's was ${result.specHash.slice(0, 12)}`, "use the plugins of the run, or run it again"); // biome-ignore format: one fault
  const listsPath = join(folder, "lists.json");
  const lists = parseJson(
    await readRunFile(listsPath, listsLimit, (message) => unpromotable(listsPath, message, writtenAnew)),
    listsPath,
  ).value;
  if (!isObject(lists) || typeof lists.digest !== "string") throw unpromotable(listsPath, "it has no digest", writtenAnew);
  return { name: basename(folder), folder, spec, specHash: hash, listsDigest: lists.digest, result };
}

/** Arms whose recommender can be served: controls exchange texts, and the best of N is chosen by the answers. */
export function promotableArms({ arms }: Result): string[] {
  return Object.keys(arms).filter((arm) => !["shuffled", "swapped", "best-of-N"].includes(arm));
}

/** @throws RLRF_PROMOTE_CHOICE */
export function choose({ spec, result, folder }: EndedRun, { arm: wantedArm, seed, users: wantedUsers }: Wish): Chosen {
  const { folds } = spec.protocol;
  const arms = promotableArms(result);
  const arm = wantedArm ?? lastPolicy(arms) ?? ["metadata", "item-only", "id-only"].find((name) => arms.includes(name)) ?? "";
  if (!arms.includes(arm)) throw unknownChoice(folder, `the arm ${JSON.stringify(arm)}`, arms.join(", "));
  if (typeof seed === "number" && !spec.seeds.includes(seed))
    throw unknownChoice(folder, `the seed ${seed}`, `${spec.seeds.join(", ")}, or all`);
  const users = wantedUsers ?? (folds > 0 ? "refit" : "split");
  if (users === "split" ? folds > 0 : users !== "refit" && users >= folds)
    throw unknownChoice(folder, users === "split" ? "a split" : `the fold ${users}`, folds > 0 ? `a fold from 0 to ${folds - 1}, or refit` : "split or refit"); // biome-ignore format: one fault
  return { arm, seeds: seed === "all" ? spec.seeds : [seed ?? (spec.seeds[0] as number)], users };
}

/** The folder of the adapter that an arm's texts were written with, below the run's own; null = the untuned LLM, or none. */
export async function adapterOf({ folder, result }: EndedRun, arm: string): Promise<string | null> {
  const adapters = await readdir(join(folder, "adapters")).catch((): string[] => []);
  const warm = adapters.includes("warm-up") ? "warm-up" : null;
  if (arm === "llm-warm") return warm;
  const iteration = Number(/^llm-(\d+)$/.exec(arm)?.[1] ?? 0);
  if (iteration === 0) return null;
  // A rejected iteration left the policy before it in its place.
  const accepted = result.iterations.filter((outcome) => outcome.accepted && outcome.iteration <= iteration).at(-1);
  return accepted === undefined ? warm : `iteration-${accepted.iteration}`;
}

export function unpromotable(where: string, message: string, hint: string): RlrfError {
  return new RlrfError("RLRF_PROMOTE_RUN", { message, where, hint });
}

function unknownChoice(where: string, what: string, expected: string): RlrfError {
  return new RlrfError("RLRF_PROMOTE_CHOICE", { message: `the run has no recommender of ${what}`, where, expected });
}
