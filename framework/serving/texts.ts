/** Where a user's text comes from: the request, what is kept, the LLM, the template; tried in the order that the server was told. */
import type { Logger } from "../contracts/plugin.js";
import type { RlrfError } from "../errors.js";
import { windowKey } from "./model.js";
import type { Reader } from "./reader.js";
import type { ServedModel } from "./served-model.js";
import type { RerankRequest } from "./messages.js";
import type { TextSource, textSources } from "./sources.js";
import type { Writer } from "./writer.js";

export interface FoundText {
  readonly from: TextSource;
  readonly text: string | null;
}

export interface TextOptions {
  readonly sources: readonly (typeof textSources)[number][];
  /** Milliseconds that a request waits for the LLM; what it writes afterwards is kept for the next one. */
  readonly wait: number;
}

export class Texts {
  constructor(
    private readonly model: ServedModel,
    private readonly writer: Writer | null,
    private readonly options: TextOptions,
    private readonly logger: Logger,
  ) {}

  async of(reader: Reader, { text, user }: RerankRequest): Promise<FoundText> {
    if (!this.model.description.hearsUsers) return { from: "none", text: null };
    if (text !== undefined) return { from: "request", text };
    for (const from of this.options.sources) {
      const found = await this.from(from, reader, user?.id ?? "");
      if (found !== null) return { from, text: found };
    }
    return { from: "none", text: null };
  }

  private async from(source: (typeof textSources)[number], reader: Reader, user: string): Promise<string | null> {
    if (source === "cache") return this.model.keptText(reader);
    if (source === "template") return this.model.templateText(reader);
    return this.written(reader, user);
  }

  /** @returns null when it is not there in time, or cannot be had */
  private async written(reader: Reader, user: string): Promise<string | null> {
    const messages = this.model.promptOf(reader);
    const key = windowKey(messages);
    const writing = this.writer?.write(key, { user, messages }) ?? null;
    if (writing === null) return null;
    const kept = writing.then(
      (text) => {
        this.model.texts.keep(key, text);
        return text;
      },
      (error: RlrfError) => {
        this.logger.warn(error.code, `no text was written: ${error.fault.message}`);
        return null;
      },
    );
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<null>((resolve) => (timer = setTimeout(() => resolve(null), this.options.wait)));
    return Promise.race([kept, late]).finally(() => clearTimeout(timer));
  }
}
