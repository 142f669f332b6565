/** The options of a fit, told once for all recommenders that are fitted. */
import type { OptionSchema } from "../contracts/plugin.js";
import type { FitOptions } from "../contracts/recommender.js";

/**
 * @param defaults the plugin's own; @param of what is fitted, which says what a batch holds and what the fit is stopped by
 * @param published what the paper has where the defaults are others
 */
export function fitOptions(
  defaults: FitOptions,
  of: "encoder" | "reranker",
  published: Partial<Pick<FitOptions, "batchSize" | "learningRate">> = {},
): Readonly<Record<keyof FitOptions, OptionSchema>> {
  const [things, schedule, metric] =
    of === "encoder"
      ? ["sequences", "", "NDCG@10 of the valid users' last items"]
      : ["lists", ", falling along a cosine", "metric of the valid users"];
  const inPaper = (option: keyof typeof published) => (published[option] === undefined ? "" : `; the paper's: ${published[option]}`);
  return {
    epochs: {
      ...{ type: "integer", minimum: 1, default: defaults.epochs, unit: "epochs" },
      description: of === "encoder" ? "At most" : "At most; the cosine schedule ends there",
    },
    batchSize: {
      ...{ type: "integer", minimum: 1, default: defaults.batchSize, unit: things },
      description: `${capital(things)} a step${inPaper("batchSize")}`,
    },
    learningRate: {
      ...{ type: "number", exclusiveMinimum: 0, default: defaults.learningRate },
      description: `AdamW's${schedule}${inPaper("learningRate")}`,
    },
    weightDecay: {
      ...{ type: "number", minimum: 0, default: defaults.weightDecay },
      description: of === "encoder" ? "AdamW's, decoupled" : "AdamW's, decoupled; far less than 1, and user texts are learnt by heart",
    },
    patience: {
      ...{ type: "integer", minimum: 1, default: defaults.patience, unit: "epochs" },
      description: `Epochs without a better ${metric} before the fit stops`,
    },
  };
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
