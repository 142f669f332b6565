/** Options that many preference losses share. */
import type { OptionSchema } from "../contracts/plugin.js";

export interface BetaOption {
  readonly beta: number;
}
export interface LabelSmoothingOption {
  readonly labelSmoothing: number;
}

/** @param value the default, from the loss's paper; @param source whose it is instead */
export function betaOption(value: number, source?: string): OptionSchema {
  const scale = "Scale of the implicit rewards: how strongly the policy is held to the reference.";
  return {
    type: "number",
    exclusiveMinimum: 0,
    default: value,
    unit: "1/nats",
    description: source === undefined ? scale : `${scale} The default is ${source}`,
  };
}

/** @param value the default, from the loss's paper */
export function labelSmoothingOption(value: number): OptionSchema {
  return {
    type: "number",
    minimum: 0,
    exclusiveMaximum: 0.5,
    default: value,
    unit: "probability",
    description: "Chance that a pair is the wrong way round.",
  };
}
