/** `--set loss.options.beta=0.1`: one value of a spec, by its path. */
import { RlrfError } from "../errors.js";
import { child, forbiddenKeys, type Json, parseJson } from "./json.js";
import { forget, isObject, type Origin, type SpecSource } from "./origins.js";

/** @throws RLRF_SPEC_SET */
export function applyOverride(spec: SpecSource, argument: string): SpecSource {
  const equals = argument.indexOf("=");
  const path = argument.slice(0, Math.max(equals, 0));
  if (path.startsWith("/"))
    throw wrong(`--set ${path}`, "a path is written with dots, not with slashes", `${path.slice(1).replaceAll("/", ".")}=…`);
  const keys = path.split(".");
  if (keys.includes(""))
    throw wrong(`--set ${path}`, "its path is empty, or a part of it", "path=value, e.g. loss.options.beta=0.1 or seeds.0=7");
  const forbidden = keys.find((key) => forbiddenKeys.has(key));
  if (forbidden !== undefined) throw wrong(`--set ${path}`, `the key "${forbidden}" is not allowed`, "any other key");
  const value = parseValue(argument.slice(equals + 1), path);
  return putValue(spec, keys, value, { kind: "set", path }, `--set ${path}`);
}

/** One value put into a spec; what has no place yet is made on the way. @param argument what asks for it, for messages @throws RLRF_SPEC_SET */
export function putValue(spec: SpecSource, keys: readonly string[], value: Json, origin: Origin, argument: string): SpecSource {
  const origins = new Map(spec.origins);
  const changed = structuredClone(spec.value);
  let [place, pointer] = [changed, ""];
  for (const [depth, key] of keys.entries()) {
    const last = depth === keys.length - 1;
    if (last && key === "plugin") forgetOptions(place, value, pointer, origins);
    place = step(place, key, argument, last ? structuredClone(value) : undefined);
    pointer = child(pointer, key);
    if (!origins.has(pointer)) origins.set(pointer, origin); // made on the way
  }
  forget(origins, pointer);
  for (const at of pointersOf(value, pointer)) origins.set(at, origin);
  return { name: spec.name, value: changed, origins };
}

/** JSON where it is JSON; a bare word is a string, so that `--set loss.plugin=ipo` needs no quotes within quotes. */
function parseValue(text: string, path: string): Json {
  const structured = /^\s*[[{"]/.test(text);
  try {
    return parseJson(text, `--set ${path}`).value;
  } catch (cause) {
    if (structured) throw cause;
    return text;
  }
}

/** Goes into `place` at `key`, where it puts `value` if there is one, and a new object if there is nothing. */
function step(place: Json, key: string, argument: string, value?: Json): Json {
  if (Array.isArray(place)) {
    const index = Number(key);
    if (!/^\d+$/.test(key) || index > place.length)
      throw wrong(argument, `"${key}" is no place in a list of ${place.length}`, `an index from 0 to ${place.length} (which appends)`);
    place[index] = value === undefined ? (place[index] ?? {}) : value;
    return place[index];
  }
  // Not what it is: a value that stands where a secret's variable belongs may be the secret.
  const kind = place === null ? "null" : `a ${typeof place}`;
  if (!isObject(place)) throw wrong(argument, `"${key}" would be inside ${kind}`, "a path through objects and lists");
  if (/^\d+$/.test(key) && Object.keys(place).length === 0)
    throw wrong(argument, `there is no list to have a place ${key}: a default cannot be set in part`, "the whole list, e.g. seeds=[7]");
  const next = value === undefined ? (place[key] ?? {}) : value;
  place[key] = next;
  return next;
}

/** Options and version belong to the plugin that they were written for. */
function forgetOptions(reference: Json, plugin: Json, pointer: string, origins: SpecSource["origins"]): void {
  if (!isObject(reference) || reference.plugin === plugin) return;
  for (const key of ["options", "version"]) {
    delete reference[key];
    forget(origins, child(pointer, key));
  }
}

function pointersOf(value: Json, pointer: string): string[] {
  if (typeof value !== "object" || value === null) return [pointer];
  return [pointer, ...Object.entries(value).flatMap(([key, item]) => pointersOf(item, child(pointer, key)))];
}

function wrong(where: string, message: string, expected: string): RlrfError {
  return new RlrfError("RLRF_SPEC_SET", { message, where, expected });
}
