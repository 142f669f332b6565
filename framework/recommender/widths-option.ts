/** The option of the hidden widths of an MLP, told once for all that have one. */
import type { OptionSchema } from "../contracts/plugin.js";

/** Wider layers, one after the other, would have more weights than an array can hold. */
const widest = 16_384;

/** @param fallback the default */
export function widthsOption(fallback: readonly number[], description: string): OptionSchema {
  return { type: "array", items: { type: "integer", minimum: 1, maximum: widest }, default: fallback, description };
}
