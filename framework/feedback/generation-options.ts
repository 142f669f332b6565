/** The options that every sampling strategy shares: how the N texts of a prompt are drawn. */
import type { GenerationParameters } from "../contracts/llm.js";
import type { OptionSchema } from "../contracts/plugin.js";

/** Spread into a strategy's `properties`; the defaults live here and nowhere else. */
export const generationOptions = {
  samples: { type: "integer", minimum: 1, maximum: 256, default: 10, unit: "texts", description: "N: texts drawn for each prompt." },
  temperature: { type: "number", minimum: 0, maximum: 5, default: 1, description: "Divides the logits; 0 = always the most likely token." },
  topK: { type: "integer", minimum: 0, default: 0, unit: "tokens", description: "Only the k most likely tokens; 0 = off." },
  topP: {
    type: "number",
    exclusiveMinimum: 0,
    maximum: 1,
    default: 1,
    description: "Nucleus: the fewest tokens that hold this probability (arXiv 1904.09751); 1 = off.",
  },
  minP: {
    type: "number",
    minimum: 0,
    maximum: 1,
    default: 0,
    description: "Only tokens with at least this share of the likeliest one's probability (arXiv 2407.01082); 0 = off.",
  },
  maxTokens: {
    type: "integer",
    minimum: 1,
    default: 64,
    unit: "tokens",
    atMost: "/llm/options/context",
    description: "Tokens of a text at most; a longer one is cut and may not be chosen.",
  },
  stop: {
    type: "array",
    items: { type: "string", minLength: 1 },
    default: [],
    description: "Strings that end a text; they are not part of it.",
  },
} as const satisfies Record<string, OptionSchema>;

/** What a strategy's constructor receives of them. */
export interface GenerationOptions extends GenerationParameters {
  readonly samples: number;
}

export function generationParameters({ temperature, topK, topP, minP, maxTokens, stop }: GenerationOptions): GenerationParameters {
  return { temperature, topK, topP, minP, maxTokens, stop };
}
