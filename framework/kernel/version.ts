/** Semantic versions and npm's ranges of them: "1.2.3", "^1.2", "~1.2.3", ">=1.0.0 <2", "1.x", "*", "^1.2 || ^2". Without prereleases. */

type Version = readonly [major: number, minor: number, patch: number];
interface Comparator {
  readonly at: Version;
  readonly below: Version;
}

const number = "(0|[1-9]\\d*)";
const fullForm = new RegExp(`^${number}\\.${number}\\.${number}$`);
const partForm = new RegExp(`^(\\^|~|>=|<=|>|<|=)?${number}(?:\\.(?:${number}|[x*])(?:\\.(?:${number}|[x*]))?)?$`);
const infinity: Version = [Number.POSITIVE_INFINITY, 0, 0];

/** Whether it is a plugin's version: three numbers, nothing else. */
export function isVersion(text: string): boolean {
  return fullForm.test(text);
}

/** @returns whether `version` lies in `range`; undefined when the range is malformed */
export function satisfies(version: string, range: string): boolean | undefined {
  const [, major, minor, patch] = fullForm.exec(version) ?? [];
  const v: Version = [Number(major), Number(minor), Number(patch)];
  const sets = range.split("||").map((set) => set.trim().split(/\s+/).map(comparator));
  if (sets.some((set) => set.includes(undefined))) return undefined;
  return sets.some((set) => set.every((c) => c !== undefined && compare(v, c.at) >= 0 && compare(v, c.below) < 0));
}

function comparator(text: string): Comparator | undefined {
  if (text === "*" || text === "x") return { at: [0, 0, 0], below: infinity };
  const parts = partForm.exec(text);
  if (parts === null) return undefined;
  const [, operator = "", major, minor, patch] = parts;
  const at: Version = [Number(major), Number(minor ?? 0), Number(patch ?? 0)];
  const given = { minor: minor !== undefined, patch: patch !== undefined };
  switch (operator) {
    case ">=":
      return { at, below: infinity };
    case "<":
      return { at: [0, 0, 0], below: at };
    case ">": // above all that is left out: ">1.2" begins at 1.3.0
      return { at: given.patch ? [at[0], at[1], at[2] + 1] : upperBound("", at, given), below: infinity };
    case "<=":
      return { at: [0, 0, 0], below: upperBound("", at, given) };
    default:
      return { at, below: upperBound(operator, at, given) };
  }
}

/** npm's rules: "^" keeps the leftmost number that is not 0, "~" the minor one; what is left out is free. */
function upperBound(operator: string, [major, minor, patch]: Version, given: { minor: boolean; patch: boolean }): Version {
  const nextMajor: Version = [major + 1, 0, 0];
  const nextMinor: Version = [major, minor + 1, 0];
  if (!given.minor) return nextMajor;
  if (operator === "^") return major > 0 ? nextMajor : minor > 0 || !given.patch ? nextMinor : [0, 0, patch + 1];
  return operator === "~" || !given.patch ? nextMinor : [major, minor, patch + 1];
}

function compare(a: Version, b: Version): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}
