import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { RlrfError } from "../errors.js";

/**
 * JSON with sorted keys: equal values have equal texts, on every machine. Properties that are undefined do not count, as in JSON.
 * Typed arrays stand for their content. What JSON would silently change (NaN, functions, Maps, class instances) is refused: two
 * different inputs must never share a key.
 */
export function canonicalJson(value: unknown): string {
  return write(value, "", new Set());
}

/** sha256 of canonical JSON, in hex. */
export function hashOf(value: unknown): string {
  return createHash("sha256").update(canonicalJson(value)).digest("hex");
}

export async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

function write(value: unknown, where: string, parents: Set<object>): string {
  if (value === null || typeof value === "boolean" || typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw refuse(`${value}`, where);
    return JSON.stringify(value); // -0 becomes 0: they are equal
  }
  if (typeof value !== "object") throw refuse(typeof value, where);
  if (parents.has(value)) throw refuse("a cycle", where);
  parents.add(value);
  try {
    if (ArrayBuffer.isView(value)) return writeBytes(value);
    if (Array.isArray(value)) return `[${value.map((item, index) => write(item, `${where}/${index}`, parents)).join(",")}]`;
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) throw refuse(`a ${value.constructor.name}`, where);
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    entries.sort(([a], [b]) => (a < b ? -1 : 1)); // by UTF-16 units: no locale
    return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${write(item, `${where}/${key}`, parents)}`).join(",")}}`;
  } finally {
    parents.delete(value);
  }
}

function writeBytes(view: ArrayBufferView): string {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  return JSON.stringify({ $bytes: view.constructor.name, sha256: createHash("sha256").update(bytes).digest("hex") });
}

function refuse(what: string, where: string): RlrfError {
  return new RlrfError("RLRF_INTERNAL", {
    message: `${what} cannot be part of a cache key`,
    where: where || "/",
    expected: "JSON or typed arrays",
  });
}
