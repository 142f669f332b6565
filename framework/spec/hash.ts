import { hashOf } from "../store/hash.js";
import type { Spec } from "./types.js";

/** Of everything that a run's results depend on: not of `tracking`. */
export function specHash({ tracking: _, ...rest }: Spec): string {
  return hashOf(rest);
}
