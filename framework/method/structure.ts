import { aspectKey, withoutOrnament } from "../spec/aspects.js";

/** What a text says in the asked structure: one line `Name: value` for each aspect, each exactly once, and nothing else. */
export interface ParsedText {
  /** The first answer to each aspect that has one, in the asked order. */
  readonly values: Readonly<Record<string, string>>;
  readonly missing: readonly string[];
  readonly repeated: readonly string[];
  /** Named, but with nothing in it: a value needs a letter or a digit. */
  readonly empty: readonly string[];
  /** Whatever else the text holds: the names of aspects not asked for, and lines that answer nothing. */
  readonly invented: readonly string[];
  /** Share of the asked aspects answered exactly once, with something in it. */
  readonly structureRate: number;
  /** Every aspect answered exactly once, and nothing else in the text. */
  readonly conforms: boolean;
  /** `values` written out again: what the recommender hears. */
  readonly canonical: string;
}

/** A text of a user, and what the parser made of it. */
export interface UserText {
  readonly user: number;
  readonly text: string;
  readonly parsed: ParsedText;
}

const lineBreak = /\r\n|[\n\r\u0085\u2028\u2029]/u;

export function parseStructure(text: string, aspects: readonly string[]): ParsedText {
  const asked = new Map(aspects.map((name) => [aspectKey(name), name]));
  const answers = new Map<string, string[]>(aspects.map((name) => [name, []]));
  const invented: string[] = [];
  for (const line of text.split(lineBreak)) {
    if (line.trim() === "") continue;
    const [, name = line, value] = /^([^:：]*)[:：](.*)$/su.exec(line) ?? [];
    const aspect = value === undefined ? undefined : asked.get(aspectKey(name));
    if (aspect === undefined) invented.push(withoutOrnament(name));
    else answers.get(aspect)?.push(withoutOrnament(value ?? ""));
  }
  return judge(aspects, answers, invented);
}

function judge(aspects: readonly string[], answers: ReadonlyMap<string, readonly string[]>, invented: readonly string[]): ParsedText {
  const given = (name: string) => answers.get(name) ?? [];
  const filled = (name: string) => given(name).filter(hasContent);
  const missing = aspects.filter((name) => given(name).length === 0);
  const repeated = aspects.filter((name) => given(name).length > 1);
  const empty = aspects.filter((name) => given(name).length > 0 && filled(name).length === 0);
  const once = aspects.filter((name) => given(name).length === 1 && filled(name).length === 1);
  const values = Object.fromEntries(
    aspects.flatMap((name) =>
      filled(name)
        .slice(0, 1)
        .map((value) => [name, value] as const),
    ),
  );
  return {
    values,
    missing,
    repeated,
    empty,
    invented,
    structureRate: aspects.length === 0 ? 1 : once.length / aspects.length,
    conforms: once.length === aspects.length && invented.length === 0,
    canonical: writeStructure(values, aspects),
  };
}

/** One line an aspect that has a value, in the asked order. */
export function writeStructure(values: Readonly<Record<string, string>>, aspects: readonly string[]): string {
  return aspects.flatMap((name) => (Object.hasOwn(values, name) ? [aspectText(name, values[name] ?? "")] : [])).join("\n");
}

/** An aspect as it is written and as it is encoded. */
export function aspectText(name: string, value: string): string {
  return `${name}: ${value}`;
}

function hasContent(value: string): boolean {
  return /[\p{L}\p{N}]/u.test(value);
}
