/** Where a user's text comes from: the request, what is kept, the LLM, the template; tried in the order that the server was told. */
import type { Reader } from "./reader.js";
import type { ServedModel } from "./served-model.js";
import type { RerankRequest } from "./service.js";
import type { TextSource, textSources } from "./sources.js";

export interface FoundText {
  readonly from: TextSource;
  readonly text: string | null;
}

export class Texts {
  constructor(
    private readonly model: ServedModel,
    private readonly sources: readonly (typeof textSources)[number][],
  ) {}

  async of(reader: Reader, { text }: RerankRequest): Promise<FoundText> {
    if (!this.model.description.hearsUsers) return { from: "none", text: null };
    if (text !== undefined) return { from: "request", text };
    for (const from of this.sources) {
      const found = await this.from(from, reader);
      if (found !== null) return { from, text: found };
    }
    return { from: "none", text: null };
  }

  private async from(source: (typeof textSources)[number], reader: Reader): Promise<string | null> {
    if (source === "cache") return this.model.keptText(reader);
    if (source === "template") return this.model.templateText(reader);
    return null;
  }
}
