import type { OptionSchema } from "../contracts/plugin.js";

/** k of a metric at k, told once for all rewards that are one. */
export const ranksOption: OptionSchema = {
  type: "integer",
  minimum: 1,
  default: 5,
  unit: "ranks",
  atMost: "/protocol/listLength",
  description: "k: the ranks that count.",
};
