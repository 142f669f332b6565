/** From files and `--set` arguments to one spec as it was written: reads, follows `extends`, applies overrides. */
import { dirname, relative, resolve } from "node:path";
import { RlrfError } from "../errors.js";
import { readAtMost } from "../store/files.js";
import { type Json, parseJson } from "./json.js";
import { isObject, merge, type Origin, originText, type SpecSource } from "./origins.js";
import { applyOverride } from "./override.js";

/** A spec is a page of text; what is far larger is another file by mistake. */
export const maxBytes = 1 << 20;

/** @param overrides "path=value". @throws RLRF_SPEC_FILE, RLRF_JSON, RLRF_SPEC_EXTENDS, RLRF_SPEC_SET */
export async function readSpec(file: string, overrides: readonly string[] = []): Promise<SpecSource> {
  const written = await readWithBases(resolve(file), []);
  return overrides.reduce(applyOverride, { ...written, name: shown(file) });
}

/** A spec that is not a file's: of a test or a program. */
export function specFromValue(value: Json, name = "spec"): SpecSource {
  return specFromText(JSON.stringify(value), name);
}

async function readWithBases(file: string, above: readonly string[]): Promise<SpecSource> {
  if (above.includes(file)) {
    const circle = [...above.slice(above.indexOf(file)), file].map(shown);
    throw new RlrfError("RLRF_SPEC_EXTENDS", {
      message: `specs extend each other in a circle: ${circle.join(" -> ")}`,
      where: shown(file),
    });
  }
  const own = specFromText(await readText(file, above.at(-1)), shown(file));
  if (!isObject(own.value) || !("extends" in own.value)) return own;
  const { extends: base, ...rest } = own.value;
  const origin = own.origins.get("/extends");
  if (typeof base !== "string" || base === "")
    throw new RlrfError("RLRF_SPEC_EXTENDS", {
      message: '"extends" is no path',
      where: origin === undefined ? shown(file) : originText(origin),
      expected: "the path of another spec, relative to this one's folder",
    });
  own.origins.delete("/extends");
  return merge(await readWithBases(resolve(dirname(file), base), [...above, file]), { ...own, value: rest });
}

async function readText(file: string, extendedBy: string | undefined): Promise<string> {
  const place = { where: extendedBy === undefined ? shown(file) : `${shown(file)}, extended by ${shown(extendedBy)}` };
  try {
    const bytes = await readAtMost(file, maxBytes);
    if (bytes === null)
      throw new RlrfError("RLRF_SPEC_FILE", { message: "the spec is too large", ...place, expected: `at most ${maxBytes} bytes` });
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    if (cause instanceof RlrfError) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    const why =
      { ENOENT: "there is no such file", ENOTDIR: "there is no such file", EISDIR: "it is a folder", EACCES: "it may not be read" }[
        code ?? ""
      ] ?? (cause as Error).message;
    throw new RlrfError(
      "RLRF_SPEC_FILE",
      { message: `the spec cannot be read: ${why}`, ...place, expected: "a JSON file in UTF-8" },
      { cause },
    );
  }
}

export function specFromText(text: string, name: string): SpecSource {
  const { value, positions } = parseJson(text, name);
  const origins = new Map<string, Origin>();
  for (const [pointer, position] of positions) origins.set(pointer, { kind: "file", file: name, ...position });
  return { name, value, origins };
}

/** Relative to where the user is, when that is shorter. */
function shown(file: string): string {
  const short = relative(process.cwd(), file);
  return short !== "" && short.length < file.length ? short : file;
}
