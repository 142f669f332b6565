/** The form of a manifest of plugins, and reading one. What was not written here is believed only in this form. */
import { readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { isPluginKind } from "../contracts/kinds.js";
import type { PluginClass, PluginIdentity } from "../contracts/plugin.js";
import { RlrfError } from "../errors.js";
import { packageRoot } from "../setup/paths.js";
import type { LockedPackage } from "../sharing/lock.js";
import { mustBePlain } from "../spec/json.js";
import { isVersion } from "./version.js";

/** What a manifest says of one plugin. */
export interface ManifestEntry extends PluginIdentity {
  /** The built module, relative to the manifest. */
  readonly module: string;
  /** The source that `sha256` is of, relative to the manifest; need not be shipped. */
  readonly file: string;
  /** Digest of the source and of what it imports from its own folder (manifest.ts). */
  readonly sha256: string;
}
export interface Manifest {
  readonly plugins: readonly ManifestEntry[];
}

/** A package of a project's lock. */
export interface PackageOfPlugins {
  readonly name: string;
  readonly locked: LockedPackage;
  readonly folder: string;
  /** That its files are what was locked, before any of them is loaded. */
  verify(): Promise<void>;
}

/** The same, found: its paths are absolute. */
export interface PluginEntry extends ManifestEntry {
  readonly manifest: string;
  /** The locked package that it came with; `sha256` is then of what was locked, not of what its author says. */
  readonly package?: PackageOfPlugins;
  /** The class itself, where no manifest but a program registered it. */
  readonly plugin?: PluginClass;
}

/** Of the plugins that come with the framework. */
export const ownManifest = join(packageRoot, "registry", "plugins.json");

/** A manifest is a few pages; what is far larger is another file by mistake. */
export const maxManifestBytes = 8 << 20;

/** @throws RLRF_REGISTRY_FILE */
export async function readManifest(path: string): Promise<readonly PluginEntry[]> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw unreadable(path, `the manifest cannot be read: ${(cause as Error).message}`, cause);
  }
  return parseManifest(text, path);
}

/** @throws RLRF_REGISTRY_FILE */
export function parseManifest(text: string, path: string): readonly PluginEntry[] {
  if (text.length > maxManifestBytes) throw unreadable(path, `the manifest is longer than ${maxManifestBytes} characters`);
  const plugins = (parsed(text, path) as Partial<Manifest> | null)?.plugins;
  if (!Array.isArray(plugins)) throw unreadable(path, 'the manifest has no list "plugins"');
  const folder = dirname(path);
  return plugins.map((entry: unknown, i) => {
    const wrong = faultOf(entry);
    if (wrong !== undefined) throw unreadable(`${path} /plugins/${i}`, wrong);
    const sound = entry as ManifestEntry;
    return { ...sound, module: resolve(folder, sound.module), file: resolve(folder, sound.file), manifest: path };
  });
}

function parsed(text: string, path: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    mustBePlain(value, path);
    return value;
  } catch (cause) {
    const message = cause instanceof RlrfError ? cause.fault.message : (cause as Error).message;
    throw unreadable(path, `the manifest cannot be read: ${message}`, cause);
  }
}

const nameForm = /^(?:@[a-z0-9][a-z0-9._-]*\/)?(?:[a-z0-9][a-z0-9._-]*\/)*[a-z0-9][a-z0-9-]*$/;
const texts = ["kind", "name", "version", "summary", "source", "module", "file", "sha256"] as const;

/** Checked by hand, since `list` and `describe` answer without loading a schema validator. */
function faultOf(value: unknown): string | undefined {
  if (!isRecord(value)) return "an entry is no object";
  const entry: Readonly<Record<string, unknown>> = value;
  const missing = texts.find((key) => typeof entry[key] !== "string");
  if (missing !== undefined) return `the entry has no "${missing}"`;
  if (!isPluginKind(String(entry.kind))) return `there is no kind "${entry.kind}"`;
  if (!isPluginName(String(entry.name))) return `"${entry.name}" is no name: kebab-case, or @team/package/kebab-case`;
  if (!isVersion(String(entry.version))) return `"${entry.version}" is no semantic version (1.2.3)`;
  const wrong = optional.find(([key, holds]) => entry[key] !== undefined && !holds(entry[key]));
  return wrong === undefined ? undefined : `"${wrong[0]}" of ${entry.kind}/${entry.name} is not ${wrong[2]}`;
}

/** What may be left out, and what it is where it stands. */
const optional: readonly [key: keyof PluginIdentity, holds: (value: unknown) => boolean, form: string][] = [
  ["options", isOptions, 'a schema with "type": "object"'],
  ["worksWith", isPartners, "an object of kinds, plugins and schemas of their options"],
  ["pure", (value) => typeof value === "boolean", "true or false"],
  ["needs", isTexts, "a list of texts"],
  ["rejected", (value) => [0, 1, "many", "ranked"].some((count) => count === value), '0, 1, "many" or "ranked"'],
  ["examples", isTexts, "a list of options' names"],
  ["reads", (value) => value === "text" || value === "structure", '"text" or "structure"'],
  ["measures", (value) => value === true, "true"],
  ["tunable", (value) => value === true, "true"],
  ["hidden", (value) => value === true, "true"],
  ["takesAdapters", (value) => value === true || isRecord(value), "true or an object of options"],
  ["takesWeights", isRecord, "an object of options"],
  ["recorded", (value) => value === true, "true"],
];

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((text) => typeof text === "string");
}

function isOptions(value: unknown): boolean {
  if (!isRecord(value) || value.type !== "object") return false;
  const { properties = {}, required = [] } = value;
  return isRecord(properties) && Object.values(properties).every(isRecord) && Array.isArray(required);
}

function isPartners(value: unknown): boolean {
  const records = (item: unknown, depth: number): boolean =>
    isRecord(item) && (depth === 0 || Object.values(item).every((inner) => records(inner, depth - 1)));
  return records(value, 3) && Object.keys(value as object).every(isPluginKind);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isPluginName(text: string): boolean {
  return nameForm.test(text);
}

function unreadable(where: string, message: string, cause?: unknown): RlrfError {
  return new RlrfError("RLRF_REGISTRY_FILE", { message, where, hint: "`npm run registry` writes it" }, { cause });
}
