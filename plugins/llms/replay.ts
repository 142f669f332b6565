import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import {
  type GeneratedText,
  type GenerationParameters,
  type GenerationRequest,
  type LlmBackend,
  type OnDone,
  options,
  plugin,
  RlrfError,
} from "rlrf4rec";

interface ReplayOptions {
  readonly path: string;
}

@plugin({
  kind: "llm",
  name: "replay",
  version: "1.0.0",
  summary: "Texts that were written elsewhere, found by user: a JSONL of {user, text}, or KAR's JSON of {user: {prompt, answer}}",
  source: "KAR, arXiv 2306.10933 (its published knowledge files); JSON Lines",
  recorded: true,
  options: {
    type: "object",
    required: ["path"],
    properties: {
      path: { type: "string", minLength: 1, file: true, description: "The file. A user's further lines are its further samples." },
    },
  },
})
export class Replay implements LlmBackend {
  private texts: ReadonlyMap<string, readonly string[]> | undefined;
  private hash = "";

  constructor(@options() private readonly options: ReplayOptions) {}

  identity(): string {
    return this.hash;
  }

  async prepare(): Promise<void> {
    const content = await this.read();
    this.hash = createHash("sha256").update(content).digest("hex");
    this.texts = this.parse(content);
  }

  private async read(): Promise<string> {
    try {
      return await readFile(this.options.path, "utf8");
    } catch (cause) {
      throw new RlrfError("RLRF_REPLAY_FILE", { message: "the file of texts cannot be read", where: this.options.path }, { cause });
    }
  }

  /** A file that is one JSON object without a `user` is KAR's; anything else is read line by line. */
  private parse(content: string): ReadonlyMap<string, readonly string[]> {
    const whole = parseJson(content);
    const rows = isObject(whole) && !("user" in whole) ? this.karRows(whole) : this.lineRows(content);
    const texts = new Map<string, string[]>();
    for (const { user, text } of rows) texts.set(user, [...(texts.get(user) ?? []), text]);
    if (texts.size === 0) throw this.badRow("the file holds no texts", this.options.path);
    return texts;
  }

  private karRows(users: Readonly<Record<string, unknown>>): readonly Row[] {
    return Object.entries(users).map(([user, value]) => {
      const text = isObject(value) ? value.answer : value;
      if (typeof text !== "string") throw this.badRow(`user ${user} has no text`, `${this.options.path}#/${user}`);
      return { user, text };
    });
  }

  private lineRows(content: string): readonly Row[] {
    return content.split("\n").flatMap((line, index) => {
      if (line.trim() === "") return [];
      const where = `${this.options.path}:${index + 1}`;
      const row = parseJson(line);
      if (!isObject(row)) throw this.badRow("a line is not a JSON object", where);
      const { user, text } = row;
      if ((typeof user !== "string" && typeof user !== "number") || typeof text !== "string")
        throw this.badRow("a line lacks its user or its text", where);
      return [{ user: String(user), text }];
    });
  }

  private badRow(message: string, where: string): RlrfError {
    return new RlrfError("RLRF_REPLAY_FILE", {
      message,
      where,
      expected: 'lines of {"user": "…", "text": "…"}, or one object of {"USER": {"prompt": "…", "answer": "…"}}',
    });
  }

  async generate(
    requests: readonly GenerationRequest[],
    _parameters: GenerationParameters,
    onDone?: OnDone,
  ): Promise<readonly (readonly GeneratedText[])[]> {
    const { texts } = this;
    if (texts === undefined) throw new RlrfError("RLRF_LLM_UNPREPARED", { message: "replay answers only after `prepare`" });
    const lacking = requests.filter(({ user, samples }) => (texts.get(user)?.length ?? 0) < samples);
    if (lacking.length > 0) {
      const some = lacking.slice(0, 5).map(({ user, samples }) => `${user} (has ${texts.get(user)?.length ?? 0} of ${samples})`);
      throw new RlrfError("RLRF_REPLAY_MISSING", {
        message: `${lacking.length} of ${requests.length} users have too few texts: ${some.join(", ")}${lacking.length > 5 ? ", …" : ""}`,
        where: this.options.path,
        hint: "users are named by the dataset's own ids; add the missing lines, or leave these users out of the data",
      });
    }
    return requests.map(({ user, samples }, index) => {
      const own = (texts.get(user) ?? []).slice(0, samples);
      // Words stand for tokens: no tokenizer is known here.
      const written = own.map((text) => ({ text, tokens: text.split(/\s+/u).filter(Boolean).length, finish: "stop" as const }));
      onDone?.(index, written);
      return written;
    });
  }
}

interface Row {
  readonly user: string;
  readonly text: string;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
