/** Reading the small JSON files of this folder: they may come from anyone, so they are bounded, and every field is looked at. */
import { readFile, stat } from "node:fs/promises";
import { type ErrorCode, RlrfError } from "../errors.js";
import { type Json, parseJson } from "../spec/json.js";

export type Fields = Readonly<Record<string, Json>>;

const maxBytes = 4 << 20;

/** One file's form: what is wrong in it is thrown under one code, with the file and the place. */
export class Form {
  constructor(
    readonly code: ErrorCode,
    readonly file: string,
    readonly hint: string,
  ) {}

  /** @returns undefined when there is no such file */
  async read(): Promise<Json | undefined> {
    try {
      const { size } = await stat(this.file);
      if (size > maxBytes) throw this.fault("", `it has ${size} bytes`, `at most ${maxBytes} bytes`);
      return this.parse(await readFile(this.file, "utf8"));
    } catch (cause) {
      if (cause instanceof RlrfError) throw cause;
      if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw this.fault("", `it cannot be read: ${(cause as Error).message}`, "a JSON file");
    }
  }

  parse(text: string): Json {
    try {
      return parseJson(text, this.file).value;
    } catch (error) {
      if (!(error instanceof RlrfError)) throw error;
      throw new RlrfError(this.code, { ...error.fault, hint: this.hint }, { cause: error });
    }
  }

  fault(pointer: string, message: string, expected: string): RlrfError {
    return new RlrfError(this.code, { message, where: [this.file, pointer].join(" ").trim(), expected, hint: this.hint });
  }

  /** @param known when given, no other key may stand there */
  object(value: Json | undefined, pointer: string, known?: readonly string[]): Fields {
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw this.fault(pointer, "it is no object", "an object");
    const strange = known === undefined ? undefined : Object.keys(value).find((key) => !known.includes(key));
    if (strange !== undefined)
      throw this.fault(`${pointer}/${strange}`, `there is no key ${JSON.stringify(strange)}`, `one of: ${known?.join(", ")}`);
    return value;
  }

  text(fields: Fields, key: string, pointer: string, pattern = /./): string {
    const value = Object.hasOwn(fields, key) ? fields[key] : undefined;
    if (typeof value === "string" && pattern.test(value)) return value;
    throw this.fault(
      `${pointer}/${key}`,
      `"${key}" is ${shown(value)}`,
      pattern.source === "." ? "a text" : `a text like ${pattern.source}`,
    );
  }

  texts(fields: Fields, key: string, pointer: string): readonly string[] {
    const value = Object.hasOwn(fields, key) ? fields[key] : [];
    if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
    throw this.fault(`${pointer}/${key}`, `"${key}" is ${shown(value)}`, "a list of texts");
  }
}

function shown(value: Json | undefined): string {
  const text = value === undefined ? "missing" : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}
