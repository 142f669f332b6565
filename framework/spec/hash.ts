import { hashOf } from "../store/hash.js";
import type { Spec } from "./types.js";

/** Of everything that a run's results depend on: not of where it is tracked, where the work is done, and where it is kept. */
export function specHash({ tracking: _, executor: __, store: ___, ...rest }: Spec): string {
  return hashOf(rest);
}

/** Names the folder of a run: the same spec gives the same folder, so that a killed run is gone on with. */
export function runId({ name }: { readonly name: string }, hash: string): string {
  return `${name}-${hash.slice(0, 8)}`;
}
