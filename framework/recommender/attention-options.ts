/** The options of attention, told once for all recommenders that attend. */
import type { OptionSchema } from "../contracts/plugin.js";

/** Heads that split the width `hidden`. @param fallback the default */
export function headsOption(fallback: number, description = "Attention heads"): OptionSchema {
  return { type: "integer", minimum: 1, default: fallback, divides: "hidden", description };
}
