import { type HiddenPooling, type LlmBackend, options, plugin, RlrfError, type TextEncoder, type TextVectors, unitVectors } from "rlrf4rec";

interface LlmHiddenOptions {
  readonly pooling: HiddenPooling;
  readonly prefix: string;
  readonly normalise: boolean;
}

/**
 * z(text) = the mean over tokens of the last layer's hidden states (KAR's knowledge encoder, "avg"), or the last token's state. Of the frozen
 * model, whatever adapter a tuning has attached: what the recommender hears of a text does not change from iteration to iteration.
 */
@plugin({
  kind: "text-encoder",
  name: "llm-hidden",
  version: "1.0.0",
  summary: "Pooled hidden states of the run's own language model, without its adapter; for LLMs that run in this process",
  source: "Xi et al. 2023 (KAR), arXiv 2306.10933, section 4.2 (mean over tokens); last token: Neelakantan et al. 2022, arXiv 2201.10005",
  needs: ["hidden"],
  options: {
    type: "object",
    properties: {
      pooling: {
        enum: ["mean", "last"],
        default: "mean",
        description: "The mean of the tokens' states, or the state of the end token, which has seen all of them",
      },
      prefix: { type: "string", default: "", description: "Put before every text" },
      normalise: { type: "boolean", default: true, description: "Vectors of length 1" },
    },
  },
})
export class LlmHidden implements TextEncoder {
  readonly needs = ["hidden"] as const;
  private llm: Pick<LlmBackend, "hidden"> | undefined;

  constructor(@options() private readonly options: LlmHiddenOptions) {}

  useLlm(llm: Pick<LlmBackend, "hidden">): void {
    this.llm = llm;
  }

  async encode(texts: readonly string[]): Promise<TextVectors> {
    const { pooling, prefix, normalise } = this.options;
    const asked = texts.map((text) => prefix + text);
    const encoded = await this.llm?.hidden?.(asked, pooling);
    if (encoded === undefined)
      throw new RlrfError("RLRF_LLM_UNPREPARED", { message: "llm-hidden was asked for vectors before the run had a language model" });
    return normalise ? unitVectors(encoded) : encoded;
  }
}
