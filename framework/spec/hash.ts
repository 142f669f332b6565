import { hashOf } from "../store/hash.js";
import type { Spec } from "./types.js";

/** Of everything that a run's results depend on: not of where it is tracked, and not of where the work is done. */
export function specHash({ tracking: _, executor: __, ...rest }: Spec): string {
  return hashOf(rest);
}
