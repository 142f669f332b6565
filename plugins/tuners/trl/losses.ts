/** Which of our losses TRL has, and what they are called there: read off the source of the pinned version (losses in trl/trainer/dpo_trainer.py). */
import type { OptionSchema } from "rlrf4rec";

/** What TRL is given: which of its trainers, and arguments of that trainer's configuration. */
export interface TrlLoss {
  readonly trainer: "DPO" | "CPO" | "SFT" | "SFT by text";
  readonly arguments: Readonly<Record<string, unknown>>;
}

type Options = Readonly<Record<string, unknown>>;

interface Translation {
  /** Options of ours that TRL's form has in one way only, with the values that say so. */
  readonly only?: Readonly<Record<string, OptionSchema>>;
  translate(options: Options): TrlLoss;
}

const dpo = (lossType: string, more: (options: Options) => object = () => ({})): Translation["translate"] => {
  return (options) => ({ trainer: "DPO", arguments: { loss_type: [lossType], beta: options.beta, ...more(options) } });
};
const smoothed = ({ labelSmoothing }: Options) => ({ label_smoothing: labelSmoothing });
const divergences = { "forward-kl": "forward_kl", js: "js_divergence", alpha: "alpha_divergence" } as const;

/**
 * By our names. Not here: what compares a text with several (`s-dpo`, `dmpo`, `pl-topk`, `rec-po`, `dynamic-po`), for TRL takes pairs; and what
 * TRL computes otherwise: its `orpo` counts the prompt's tokens in the NLL, its `kto` averages over texts and makes mismatched pairs of
 * rejected texts too, and the NLL of its `cpo` is one mean over the tokens of all texts of a batch, as ours is with `each` "token" alone.
 */
const translations: Readonly<Record<string, Translation>> = {
  dpo: { only: { labelSmoothing: { const: 0 } }, translate: dpo("sigmoid") },
  hinge: { only: { reference: { const: true } }, translate: dpo("hinge") },
  ipo: { only: { normalise: { const: true } }, translate: dpo("ipo") },
  "robust-dpo": { translate: dpo("robust", smoothed) },
  exo: { translate: dpo("exo_pair", smoothed) },
  nca: { translate: dpo("nca_pair") },
  bco: { only: { shift: { const: false } }, translate: dpo("bco_pair") },
  sppo: { translate: dpo("sppo_hard") },
  aot: { translate: (options) => dpo(options.unpaired === true ? "aot_unpaired" : "aot", smoothed)(options) },
  "apo-zero": { translate: dpo("apo_zero") },
  "apo-down": { translate: dpo("apo_down") },
  discopop: { translate: dpo("discopop", ({ temperature }) => ({ discopop_tau: temperature })) },
  "f-dpo": {
    only: { divergence: { enum: Object.keys(divergences) } },
    translate: dpo("sigmoid", ({ divergence, alpha }) => ({
      f_divergence_type: divergences[divergence as keyof typeof divergences],
      ...(divergence === "alpha" && { f_alpha_divergence_coef: alpha }),
    })),
  },
  "dpo-norm": { translate: dpo("sigmoid_norm") },
  cpo: {
    only: { alpha: { const: 0 } },
    translate: ({ beta, labelSmoothing }) => ({
      trainer: "CPO",
      arguments: { loss_type: "sigmoid", beta, label_smoothing: labelSmoothing, cpo_alpha: 0 },
    }),
  },
  simpo: {
    translate: ({ beta, gamma }) => ({ trainer: "CPO", arguments: { loss_type: "simpo", beta, simpo_gamma: gamma, cpo_alpha: 0 } }),
  },
  alphapo: {
    translate: ({ beta, gamma, alpha }) => ({
      trainer: "CPO",
      arguments: { loss_type: "simpo", beta, simpo_gamma: gamma, alpha, cpo_alpha: 0 },
    }),
  },
  sft: { only: { each: { const: "text" } }, translate: () => ({ trainer: "SFT by text", arguments: {} }) },
};

/** The losses that the tuner takes, and with which options. */
export const lossesOfTrl: Readonly<Record<string, Readonly<Record<string, OptionSchema>>>> = Object.fromEntries(
  Object.entries(translations).map(([name, { only = {} }]) => [name, only]),
);

/** @returns undefined where TRL lacks it */
export function trlLoss(plugin: string, options: Options): TrlLoss | undefined {
  return Object.hasOwn(translations, plugin) ? translations[plugin]?.translate(options) : undefined;
}
