/** Which users the browser lists, and in which order. */
import type { UsersIndex } from "./data.js";

export const orders = [
  ["id", "id"],
  ["difference-down", "A \u2212 B, largest first"],
  ["difference-up", "A \u2212 B, smallest first"],
  ["a-down", "A, largest first"],
  ["a-up", "A, smallest first"],
] as const;
export type Order = (typeof orders)[number][0];

/** Bits of `UsersIndex.has`. */
const tested = 1;
const paired = 2;

/** Values of the users under the two arms that are compared. */
export interface Values {
  readonly a: (user: number) => number;
  readonly b: (user: number) => number;
}
export interface Wanted {
  /** In the id, whatever the case. */
  readonly text: string;
  /** "": everybody; "pairs": those of whom there are preference pairs; else a part. */
  readonly part: string;
  readonly order: Order;
}

/** What a list may be narrowed to. */
export function partsOf({ parts, has }: UsersIndex): (readonly [value: string, text: string])[] {
  const pairs = has.some((bits) => (bits & paired) !== 0) ? [["pairs", "with pairs"] as const] : [];
  return [["", "all"], ...[...new Set(parts)].map((part) => [part, part] as const), ...pairs];
}

/** Numbers of users; those without a value last, whatever the direction. */
export function listed({ ids, parts, has }: UsersIndex, values: Values, { text, part, order }: Wanted): Int32Array {
  const sought = text.trim().toLowerCase();
  const inPart = (user: number) => part === "" || (part === "pairs" ? ((has[user] ?? 0) & paired) !== 0 : parts[user] === part);
  const rows = ids.flatMap((id, user) => ((sought === "" || id.toLowerCase().includes(sought)) && inPart(user) ? [user] : []));
  if (order === "id") return Int32Array.from(rows);
  const up = order.endsWith("up") ? 1 : -1;
  const keys = Float64Array.from(ids, (_, user) => {
    const value = order.startsWith("a") ? values.a(user) : values.a(user) - values.b(user);
    return Number.isNaN(value) ? Number.POSITIVE_INFINITY : up * value;
  });
  const key = (user: number) => keys[user] as number;
  return Int32Array.from(rows.sort((x, y) => (key(x) === key(y) ? x - y : key(x) < key(y) ? -1 : 1)));
}

/** The first with ranks to look at, else the first. */
export function firstShown({ has }: UsersIndex, rows: Int32Array): number | undefined {
  return rows.find((user) => ((has[user] ?? 0) & tested) !== 0) ?? rows[0];
}
