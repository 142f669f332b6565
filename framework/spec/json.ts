/**
 * JSON (RFC 8259) with what a spec's messages need and JSON.parse does not tell: line and column of every value and of the
 * first fault, duplicate keys, a bound on depth. Keys that could reach a prototype or stand in for a method are refused.
 */
import { RlrfError } from "../errors.js";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export interface Position {
  readonly line: number;
  readonly column: number;
}

export interface JsonDocument {
  /** What names the text in messages. */
  readonly source: string;
  readonly value: Json;
  /** Where each value starts, by JSON pointer ("" is the document). */
  readonly positions: ReadonlyMap<string, Position>;
}

export const maxDepth = 64;
/** The last two: comparing two objects, as ajv does it, calls them. */
export const forbiddenKeys: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype", "toString", "valueOf"]);

/** One more step of a JSON pointer (RFC 6901). */
export function child(pointer: string, key: string | number): string {
  return `${pointer}/${String(key).replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

/** @param source names the text in messages: a file or an argument. @throws RLRF_JSON */
export function parseJson(text: string, source: string): JsonDocument {
  return new Parser(text.startsWith("\uFEFF") ? text.slice(1) : text, source).document();
}

/**
 * The bounds of parseJson for what JSON.parse has read: many times faster, where no line and column are needed.
 * @throws RLRF_JSON
 */
export function mustBePlain(value: unknown, source: string, depth = 0): void {
  if (typeof value !== "object" || value === null) return;
  if (depth >= maxDepth)
    throw new RlrfError("RLRF_JSON", {
      message: `nested deeper than ${maxDepth} levels`,
      where: source,
      expected: `at most ${maxDepth} levels`,
    });
  for (const [key, item] of Object.entries(value)) {
    if (forbiddenKeys.has(key))
      throw new RlrfError("RLRF_JSON", { message: `the key ${JSON.stringify(key)} is not allowed`, where: source });
    mustBePlain(item, source, depth + 1);
  }
}

class Parser {
  private at = 0;
  private readonly positions = new Map<string, Position>();
  private line = 1;
  private lineStart = 0;
  private lineEnd: number;

  constructor(
    private readonly text: string,
    private readonly source: string,
  ) {
    this.lineEnd = this.endOfLine(0);
  }

  document(): JsonDocument {
    const value = this.value("", 0);
    this.space();
    if (this.at < this.text.length) throw this.fault("text after the end of the JSON value", "nothing more");
    return { source: this.source, value, positions: this.positions };
  }

  private value(pointer: string, depth: number): Json {
    this.space();
    if (depth > maxDepth) throw this.fault(`nested deeper than ${maxDepth} levels`, `at most ${maxDepth} levels`);
    this.positions.set(pointer, this.position());
    const first = this.text[this.at];
    if (first === "{") return this.object(pointer, depth);
    if (first === "[") return this.array(pointer, depth);
    if (first === '"') return this.string();
    for (const [word, value] of [
      ["true", true],
      ["false", false],
      ["null", null],
    ] as const)
      if (this.take(word)) return value;
    return this.number();
  }

  private object(pointer: string, depth: number): Json {
    const object: { [key: string]: Json } = {};
    this.at++;
    if (this.closes("}")) return object;
    do {
      this.space();
      if (this.text[this.at] !== '"') throw this.fault("no key here", 'a key in double quotes, or "}" right after the last value');
      const start = this.at;
      const key = this.string();
      if (forbiddenKeys.has(key)) throw this.fault(`the key ${JSON.stringify(key)} is not allowed`, "any other key", start);
      if (Object.hasOwn(object, key)) throw this.fault(`the key ${JSON.stringify(key)} stands twice in one object`, "each key once", start);
      this.space();
      if (!this.take(":")) throw this.fault(`no ":" after the key ${JSON.stringify(key)}`, '":"');
      object[key] = this.value(child(pointer, key), depth + 1);
    } while (this.continues("}"));
    return object;
  }

  private array(pointer: string, depth: number): Json {
    const array: Json[] = [];
    this.at++;
    if (this.closes("]")) return array;
    do array.push(this.value(child(pointer, array.length), depth + 1));
    while (this.continues("]"));
    return array;
  }

  private closes(end: "}" | "]"): boolean {
    this.space();
    return this.take(end);
  }

  /** After a value: a comma goes on, the closing bracket ends. */
  private continues(end: "}" | "]"): boolean {
    if (this.closes(end)) return false;
    if (!this.take(","))
      throw this.fault(`no "," or "${end}" after a value${this.found()}`, `"," before the next one, or "${end}" after the last`);
    return true;
  }

  private string(): string {
    let end = this.at + 1;
    while (end < this.text.length && this.text[end] !== '"' && this.text[end] !== "\n") end += this.text[end] === "\\" ? 2 : 1;
    const raw = this.text.slice(this.at, end + 1);
    try {
      const value = JSON.parse(raw) as string;
      this.at = end + 1;
      return value;
    } catch {
      throw this.fault("a string that does not end on its line, or has a wrong escape or a control character", "a JSON string");
    }
  }

  private number(): number {
    const raw = match(/-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y, this.text, this.at);
    if (raw === undefined) throw this.fault(`no JSON value here${this.found()}`, "a JSON value");
    const value = Number(raw);
    if (!Number.isFinite(value)) throw this.fault(`the number ${raw.slice(0, 40)} is too large`, "a number up to 1.7e308");
    this.at += raw.length;
    return value;
  }

  private found(): string {
    const word = match(/[^\s,{}[\]":]+|./y, this.text, this.at);
    return word === undefined ? " (the text ends)" : `: ${JSON.stringify(word.slice(0, 40))}`;
  }

  private take(word: string): boolean {
    if (!this.text.startsWith(word, this.at)) return false;
    this.at += word.length;
    return true;
  }

  private space(): void {
    for (let c = this.text[this.at]; c === " " || c === "\n" || c === "\r" || c === "\t"; c = this.text[this.at]) this.at++;
    if (this.text.startsWith("//", this.at) || this.text.startsWith("/*", this.at))
      throw this.fault("a comment stands here", "no comments: JSON has none");
  }

  /** Positions are asked for in rising order (besides faults, which end the parse), so that the lines are counted once. */
  private position(at = this.at): Position {
    while (this.lineEnd < at) {
      this.line++;
      this.lineStart = this.lineEnd + 1;
      this.lineEnd = this.endOfLine(this.lineStart);
    }
    return { line: this.line, column: at - this.lineStart + 1 };
  }

  private endOfLine(from: number): number {
    const end = this.text.indexOf("\n", from);
    return end < 0 ? this.text.length : end;
  }

  private fault(message: string, expected: string, at = this.at): RlrfError {
    const { line, column } = this.position(at);
    return new RlrfError("RLRF_JSON", { message: `malformed JSON: ${message}`, where: `${this.source}:${line}:${column}`, expected });
  }
}

function match(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}
