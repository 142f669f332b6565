/** The lines of the 2014 edition that are Python dictionaries as `repr` writes them, not JSON. */

/** Deeper than any line of the data set; a line of brackets alone must not exhaust the stack. */
const deepest = 50;

const names: Readonly<Record<string, unknown>> = { True: true, False: false, None: null };
const escapes: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f", v: "\v", a: "\x07", "0": "\0" };

/** JSON, or a literal of Python: dictionaries, lists, tuples, strings, numbers, True, False, None. @throws Error that says where it is neither */
export function parseLoose(text: string): unknown {
  if (!text.startsWith("{'")) {
    try {
      return JSON.parse(text);
    } catch (error) {
      if (!text.startsWith("{")) throw error;
    }
  }
  return new LiteralReader(text).whole();
}

class LiteralReader {
  private at = 0;
  private depth = 0;

  constructor(private readonly text: string) {}

  whole(): unknown {
    const value = this.value();
    this.space();
    if (this.at < this.text.length) throw this.fault("more text");
    return value;
  }

  private value(): unknown {
    this.space();
    const next = this.text[this.at];
    if (next === "{") return Object.fromEntries(this.members("}", () => this.entry()));
    if (next === "[") return this.members("]", () => this.value());
    if (next === "(") return this.members(")", () => this.value());
    const text = this.take(/[uUbB]?('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")/sy);
    if (text !== undefined) return unescaped(text.slice(1, -1));
    const number = this.take(/([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)/y);
    if (number !== undefined) return Number(number);
    const name = this.take(/([A-Za-z]+)/y);
    if (name === undefined || !Object.hasOwn(names, name)) throw this.fault("neither JSON nor a Python literal");
    return names[name];
  }

  private entry(): [string, unknown] {
    const key = this.value();
    this.expect(":");
    return [String(key), this.value()];
  }

  private members<Member>(close: string, one: () => Member): Member[] {
    const members: Member[] = [];
    this.at++;
    if (++this.depth > deepest) throw this.fault("nested too deeply");
    for (this.space(); this.text[this.at] !== close; this.space()) {
      if (members.length > 0) this.expect(",");
      this.space();
      if (this.text[this.at] === close) break; // (1,) and [1,]
      members.push(one());
    }
    this.at++;
    this.depth--;
    return members;
  }

  private expect(sign: string): void {
    this.space();
    if (this.text[this.at] !== sign) throw this.fault(`no "${sign}"`);
    this.at++;
  }

  /** @returns what the pattern's group holds */
  private take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const match = pattern.exec(this.text);
    if (match === null) return undefined;
    this.at = pattern.lastIndex;
    return match[1];
  }

  private space(): void {
    while (/\s/.test(this.text[this.at] ?? "")) this.at++;
  }

  private fault(what: string): Error {
    return new Error(`${what} at character ${this.at + 1}: ${this.text.slice(this.at, this.at + 40)}`);
  }
}

/** Python leaves an escape that it does not know as it stands. */
function unescaped(text: string): string {
  if (!text.includes("\\")) return text;
  return text.replace(/\\(x[\da-fA-F]{2}|u[\da-fA-F]{4}|U[\da-fA-F]{8}|\n|.)/gs, (whole, code: string) => {
    if (/^[xuU]./s.test(code)) {
      const point = Number.parseInt(code.slice(1), 16);
      return point <= 0x10ffff ? String.fromCodePoint(point) : whole;
    }
    if (code === "\n") return "";
    return escapes[code] ?? (/["'\\]/.test(code) ? code : whole);
  });
}
