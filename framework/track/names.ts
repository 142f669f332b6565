/** What MLflow allows as names and values, and how ours are made to fit without two of them becoming one. */
import { createHash } from "node:crypto";
import type { Scalar } from "./events.js";

const limits = { key: 250, param: 6000, tag: 8000 } as const;

/**
 * Letters, digits, "_", "-", ".", space and "/" remain; "ndcg@5" is "ndcg_at_5", as MLflow itself names such metrics. A name that had to be changed in
 * any other way ends in a digest of the original.
 */
export function mlflowKey(name: string): string {
  const readable = name.replaceAll("@", "_at_");
  const allowed = readable
    .replace(/[^\p{L}\p{N}_.\- /]/gu, "_")
    .split("/")
    .map((part) => (part === "" || part === "." || part === ".." ? "_" : part)) // names are paths to MLflow, and must be normal ones
    .join("/");
  if (allowed === readable && allowed.length <= limits.key) return allowed;
  return `${allowed.slice(0, limits.key - 9)}_${digest(readable).slice(0, 8)}`;
}

export function paramValue(value: Scalar): string {
  return shorten(String(value), limits.param);
}

export function tagValue(value: string): string {
  return shorten(value, limits.tag);
}

function shorten(value: string, limit: number): string {
  if (value.length <= limit) return value;
  const mark = `… (${value.length} characters, sha256 ${digest(value).slice(0, 16)})`;
  return value.slice(0, limit - mark.length).replace(/[\uD800-\uDBFF]$/, "") + mark;
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
