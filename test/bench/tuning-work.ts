/** DPO pairs of a fixed length for the tuning bench, and the settings that all sides share. */
import type { LoraOptions } from "../../framework/contracts/llm.js";
import type { AlignmentExample, TuningSettings } from "../../framework/contracts/tuner.js";
import type { ChatCodec } from "../../framework/language-model/chat.js";
import { chatOf, wordsOf } from "./language-work.js";

/** Tokens of each text, after a prompt of `promptTokens`. */
export const completionTokens = 80;
export const beta = 0.1;
export const lora: LoraOptions = { rank: 8, alpha: 16, dropout: 0, targets: ["q_proj", "v_proj"] };
/** A pair a step. */
export const settings: TuningSettings = {
  epochs: 1,
  batchSize: 1,
  accumulate: 1,
  learningRate: 5e-5,
  weightDecay: 0,
  clip: 1,
  schedule: "constant",
  rise: 0,
};

export function preferencePairs(codec: Pick<ChatCodec, "prompt" | "completion">, count: number): AlignmentExample[] {
  return Array.from({ length: count }, (_, index) => {
    const text = (side: string, reward: number) => ({ text: wordsOf(`${side} ${index}`, completionTokens), ended: false, reward });
    const example = { messages: chatOf(codec, index), chosen: text("chosen", 1), rejected: [text("rejected", 0)] };
    const { length } = codec.completion(example.chosen.text, false);
    if (length !== completionTokens) throw new Error(`a text has ${length} tokens, not ${completionTokens}`);
    return example;
  });
}
