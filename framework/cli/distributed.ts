/** What `rlrf status` and `rlrf cancel` look for: the units of a run in its store. */
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { UnitStates } from "../executor/unit-states.js";
import type { Spec } from "../spec/types.js";
import { readJson } from "../store/files.js";
import { storeRoot } from "../store/root.js";
import { Store } from "../store/store.js";

/** @param run a name, or a folder whose spec.json may name the store. @throws RLRF_RUN_UNKNOWN */
export async function unitsOfRun(run: string, cache: string | undefined): Promise<UnitStates> {
  const spec = join(run, "spec.json");
  const named = existsSync(spec) ? await readJson<Partial<Pick<Spec, "store">>>(spec) : {};
  return UnitStates.existing(new Store(storeRoot(named, cache)), basename(run));
}
