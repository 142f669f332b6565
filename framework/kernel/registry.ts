/**
 * Which plugins there are, without importing any: manifests written by `npm run registry`.
 * A package of plugins brings a manifest of the same form, which RLRF_PLUGINS names (docs/plugin-guide.md).
 */
import { readFile } from "node:fs/promises";
import { delimiter, dirname, join, resolve } from "node:path";
import { type PluginKind, pluginKinds } from "../contracts/kinds.js";
import type { PluginClass, PluginIdentity } from "../contracts/plugin.js";
import { RlrfError } from "../errors.js";
import { packageRoot } from "../setup/paths.js";
import { nearest } from "../spec/nearest.js";
import { identityOf } from "./plugin.js";
import { isVersion, satisfies } from "./version.js";

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

/** The same, found: its paths are absolute. */
export interface PluginEntry extends ManifestEntry {
  readonly manifest: string;
  /** The class itself, where no manifest but a program registered it. */
  readonly plugin?: PluginClass;
}

/** The manifests of this package and of RLRF_PLUGINS (paths, separated as in PATH). */
export function manifestPaths(): readonly string[] {
  const more = (process.env.RLRF_PLUGINS ?? "").split(delimiter).filter((path) => path !== "");
  return [join(packageRoot, "registry", "plugins.json"), ...more.map((path) => resolve(path))];
}

export class Registry {
  private readonly entries = new Map<string, PluginEntry>();

  /** @throws RLRF_REGISTRY_FILE, RLRF_PLUGIN_DUPLICATE */
  static async read(manifests: readonly string[] = manifestPaths()): Promise<Registry> {
    const registry = new Registry();
    for (const manifest of manifests) for (const entry of await readManifest(manifest)) registry.add(entry);
    return registry;
  }

  /** Of classes that are there already: what plugin authors' tests work with. */
  static of(plugins: readonly PluginClass[]): Registry {
    const registry = new Registry();
    for (const plugin of plugins) {
      const identity = identityOf(plugin);
      if (identity === undefined)
        throw new RlrfError("RLRF_PLUGIN_STALE", { message: `the class ${plugin.name} has no @plugin decorator` });
      registry.add({ ...identity, module: plugin.name, file: plugin.name, sha256: "", manifest: "this program", plugin });
    }
    return registry;
  }

  private add(entry: PluginEntry): void {
    const id = `${entry.kind}/${entry.name}`;
    const other = this.entries.get(id);
    if (other !== undefined)
      throw new RlrfError("RLRF_PLUGIN_DUPLICATE", {
        message: `${id} is registered twice`,
        where: `${other.manifest} (${other.module}) and ${entry.manifest} (${entry.module})`,
        expected: "one plugin of a kind and name",
        hint: "rename one of them, or leave one manifest out",
      });
    this.entries.set(id, entry);
  }

  /** By kind, in the order of the kinds' table, then by name. */
  list(kind?: PluginKind): readonly PluginEntry[] {
    const kinds = Object.keys(pluginKinds);
    return [...this.entries.values()]
      .filter((entry) => kind === undefined || entry.kind === kind)
      .sort((a, b) => kinds.indexOf(a.kind) - kinds.indexOf(b.kind) || (a.name < b.name ? -1 : 1));
  }

  /** @param range of versions; absent = whatever is registered. @throws RLRF_PLUGIN_UNKNOWN, RLRF_PLUGIN_VERSION */
  find(kind: PluginKind, name: string, range?: string, where?: string): PluginEntry {
    const entry = this.entries.get(`${kind}/${name}`);
    const place = where === undefined ? {} : { where };
    if (entry === undefined) throw this.unknown(kind, name, place);
    const fits = range === undefined || satisfies(entry.version, range);
    if (fits === true) return entry;
    throw new RlrfError("RLRF_PLUGIN_VERSION", {
      message:
        fits === undefined
          ? `"${range}" is not a range of versions`
          : `${kind}/${name} is registered in version ${entry.version}, not ${range}`,
      ...place,
      expected: fits === undefined ? 'a range like "1.2.3", "^1.2", "~1.2.3" or ">=1 <3"' : `a range that ${entry.version} is in`,
    });
  }

  private unknown(kind: PluginKind, name: string, place: { readonly where?: string }): RlrfError {
    const names = this.list(kind).map((entry) => entry.name);
    const meant = nearest(name, names);
    const elsewhere = [...this.entries.values()].find((entry) => entry.name === name);
    const hint =
      elsewhere !== undefined
        ? `"${name}" is a plugin of kind ${elsewhere.kind}`
        : meant !== undefined
          ? `did you mean "${meant}"?`
          : `rlrf list ${kind} shows them`;
    return new RlrfError("RLRF_PLUGIN_UNKNOWN", {
      message: `no ${kind} is named ${JSON.stringify(name)}`,
      ...place,
      expected: `one of: ${names.join(", ") || "(none is registered)"}`,
      hint,
    });
  }
}

export function isPluginKind(text: string): text is PluginKind {
  return Object.hasOwn(pluginKinds, text);
}

/** @throws RLRF_PLUGIN_KIND */
export function pluginKind(text: string): PluginKind {
  if (isPluginKind(text)) return text;
  const kinds = Object.keys(pluginKinds);
  const meant = nearest(text, kinds);
  throw new RlrfError("RLRF_PLUGIN_KIND", {
    message: `there is no kind ${JSON.stringify(text)}`,
    expected: `one of: ${kinds.join(", ")}`,
    ...(meant === undefined ? {} : { hint: `did you mean "${meant}"?` }),
  });
}

/** "loss/dpo", "loss/@team/losses/my-dpo". @throws RLRF_USAGE, RLRF_PLUGIN_KIND */
export function splitId(id: string): [kind: PluginKind, name: string] {
  const slash = id.indexOf("/");
  if (slash < 0) throw new RlrfError("RLRF_USAGE", { message: `"${id}" names no plugin`, expected: "KIND/NAME, e.g. loss/dpo" });
  return [pluginKind(id.slice(0, slash)), id.slice(slash + 1)];
}

async function readManifest(path: string): Promise<readonly PluginEntry[]> {
  let manifest: unknown;
  try {
    manifest = JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    throw unreadable(path, `the manifest cannot be read: ${(cause as Error).message}`, cause);
  }
  const plugins = (manifest as Partial<Manifest> | null)?.plugins;
  if (!Array.isArray(plugins)) throw unreadable(path, 'the manifest has no list "plugins"');
  return plugins.map((entry: Partial<ManifestEntry> | null, i) => {
    const wrong = faultOf(entry);
    if (wrong !== undefined) throw unreadable(`${path} /plugins/${i}`, wrong);
    const sound = entry as ManifestEntry;
    const folder = dirname(path);
    return { ...sound, module: resolve(folder, sound.module), file: resolve(folder, sound.file), manifest: path };
  });
}

const nameForm = /^(?:@[a-z0-9][a-z0-9._-]*\/)?(?:[a-z0-9][a-z0-9-]*\/)*[a-z0-9][a-z0-9-]*$/;

/** Checked by hand, since `list` and `describe` answer without loading a schema validator. */
function faultOf(entry: Partial<ManifestEntry> | null): string | undefined {
  if (entry === null || typeof entry !== "object") return "an entry is no object";
  const missing = (["kind", "name", "version", "summary", "source", "module", "file", "sha256"] as const).find(
    (key) => typeof entry[key] !== "string",
  );
  if (missing !== undefined) return `the entry has no "${missing}"`;
  if (!isPluginKind(String(entry.kind))) return `there is no kind "${entry.kind}"`;
  if (!nameForm.test(String(entry.name))) return `"${entry.name}" is no name: kebab-case, or @team/package/kebab-case`;
  return isVersion(String(entry.version)) ? undefined : `"${entry.version}" is no semantic version (1.2.3)`;
}

function unreadable(where: string, message: string, cause?: unknown): RlrfError {
  return new RlrfError("RLRF_REGISTRY_FILE", { message, where, hint: "`npm run registry` writes it" }, { cause });
}
