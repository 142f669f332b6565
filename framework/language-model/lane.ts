import type { GeneratedText } from "../contracts/llm.js";
import type { Rng } from "../contracts/plugin.js";
import type { ChatCodec } from "./chat.js";
import { decodeBytes } from "./tokenizer.js";

/** One sample in the making. */
export class Lane {
  private readonly tokens: number[] = [];
  /** What the tokens spell, as bytes: a character may be cut between two tokens. */
  private bytes = "";
  private finish: GeneratedText["finish"] | undefined;

  constructor(
    private readonly codec: ChatCodec,
    private readonly maxTokens: number,
    private readonly stops: readonly string[],
    readonly rng: Rng,
  ) {}

  get done(): boolean {
    return this.finish !== undefined;
  }

  get last(): number {
    return this.tokens[this.tokens.length - 1] ?? 0;
  }

  accept(token: number): void {
    if (this.codec.endTokens.has(token)) {
      this.finish = "stop";
      return;
    }
    this.tokens.push(token);
    const piece = this.codec.piece(token);
    this.bytes += piece;
    const stopped = this.firstStop(piece.length);
    if (stopped !== undefined) {
      this.bytes = this.bytes.slice(0, stopped);
      this.finish = "stop";
    } else if (this.tokens.length >= this.maxTokens) this.finish = "length";
  }

  /** Where the first stop string begins that the last `fresh` bytes completed. */
  private firstStop(fresh: number): number | undefined {
    const found = this.stops
      .map((stop) => this.bytes.indexOf(stop, Math.max(0, this.bytes.length - fresh - stop.length + 1)))
      .filter((at) => at >= 0);
    return found.length === 0 ? undefined : Math.min(...found);
  }

  result(): GeneratedText {
    return { text: decodeBytes(this.bytes), tokens: this.tokens.length, finish: this.finish ?? "length" };
  }
}
