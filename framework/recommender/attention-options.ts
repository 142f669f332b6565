/** The options of attention, told once for all recommenders that attend. */
import type { OptionSchema } from "../contracts/plugin.js";

/** Heads that split the width `hidden`. @param fallback the default */
export function headsOption(fallback: number, description = "Attention heads"): OptionSchema {
  return { type: "integer", minimum: 1, default: fallback, divides: "hidden", description };
}

/** @param others what others take, in words */
export function attentionDropout(others: string): OptionSchema {
  return {
    ...{ type: "number", minimum: 0, exclusiveMaximum: 1, default: 0 },
    description: `Dropout of the attention's weights; none by default; ${others}`,
  };
}
