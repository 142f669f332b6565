/**
 * Which plugins there are, without importing any: manifests written by `npm run registry`. A package of plugins brings a manifest of
 * the same form; the project's lock names those that were added (docs/sharing.md), RLRF_PLUGINS those that are being written.
 */
import { existsSync, statSync } from "node:fs";
import { delimiter, resolve } from "node:path";
import { isPluginKind, type PluginKind, pluginKinds } from "../contracts/kinds.js";
import type { PluginClass } from "../contracts/plugin.js";
import { RlrfError } from "../errors.js";
import { packageRoot } from "../setup/paths.js";
import { installedPackages } from "../sharing/installed.js";
import { manifestOf } from "../sharing/package.js";
import { type Project, projectAt } from "../sharing/project.js";
import { nearest } from "../spec/nearest.js";
import { type PluginEntry, readManifest } from "./manifest-file.js";
import { identityOf } from "./plugin.js";
import { satisfies } from "./version.js";

export type { Manifest, ManifestEntry, PluginEntry } from "./manifest-file.js";

/** The manifests of the framework's own package, and of RLRF_PLUGINS: manifests or folders of packages, separated as in PATH. */
async function manifestPaths(): Promise<readonly string[]> {
  const more = (process.env.RLRF_PLUGINS ?? "").split(delimiter).filter((path) => path !== "");
  const missing = more.find((path) => !existsSync(path));
  if (missing !== undefined)
    throw new RlrfError("RLRF_REGISTRY_FILE", {
      message: `there is no ${JSON.stringify(missing)}`,
      where: "environment variable RLRF_PLUGINS",
      expected: `manifests of plugins or folders of packages, "${delimiter}" between them`,
      hint: "unset the variable, or correct it",
    });
  return await Promise.all([packageRoot, ...more.map((path) => resolve(path))].map((path) => (isFolder(path) ? manifestOf(path) : path)));
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

export class Registry {
  private readonly entries = new Map<string, PluginEntry>();
  /** Packages that are locked and cannot be used, and why: a spec that names none of their plugins goes on without them. */
  private unusable: ReadonlyMap<string, RlrfError> = new Map();

  /**
   * @param manifests absent: those of manifestPaths(), and of the packages that the project's lock names
   * @throws RLRF_REGISTRY_FILE, RLRF_PLUGIN_DUPLICATE, RLRF_PACKAGE_LOCK
   */
  static async read(manifests?: readonly string[]): Promise<Registry> {
    return manifests === undefined ? await Registry.ofProject(projectAt()) : await Registry.ofManifests(manifests);
  }

  /** @throws RLRF_REGISTRY_FILE, RLRF_PLUGIN_DUPLICATE, RLRF_PACKAGE_LOCK */
  static async ofProject(project: Project): Promise<Registry> {
    const registry = await Registry.ofManifests(await manifestPaths());
    const { entries, unusable } = await installedPackages(project);
    for (const entry of entries) registry.add(entry);
    registry.unusable = unusable;
    return registry;
  }

  private static async ofManifests(manifests: readonly string[]): Promise<Registry> {
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
    if (entry === undefined) throw this.ofPackage(name) ?? this.unknown(kind, name, place);
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

  private ofPackage(name: string): RlrfError | undefined {
    return [...this.unusable].find(([owner]) => name.startsWith(`${owner}/`))?.[1];
  }

  private unknown(kind: PluginKind, name: string, place: { readonly where?: string }): RlrfError {
    const names = this.list(kind).map((entry) => entry.name);
    const meant = names.find((other) => other.endsWith(`/${name}`) || name.startsWith(`${other}/`)) ?? nearest(name, names);
    const elsewhere = [...this.entries.values()].find((entry) => entry.name === name);
    const hint =
      elsewhere !== undefined
        ? `"${name}" is a plugin of kind ${elsewhere.kind}`
        : meant !== undefined
          ? `did you mean "${meant}"?`
          : name.includes("/")
            ? `\`rlrf plugin add ${name.slice(0, name.lastIndexOf("/"))}\` adds its package to the project in this folder`
            : `rlrf list ${kind} shows them`;
    return new RlrfError("RLRF_PLUGIN_UNKNOWN", {
      message: `no ${kind} is named ${JSON.stringify(name)}`,
      ...place,
      expected: `one of: ${names.join(", ") || "(none is registered)"}`,
      hint,
    });
  }
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

/** "loss/dpo", "loss/@team/losses/my-dpo". @param known of which one may be meant @throws RLRF_USAGE, RLRF_PLUGIN_KIND */
export function splitId(id: string, known: readonly PluginEntry[] = []): [kind: PluginKind, name: string] {
  const slash = id.indexOf("/");
  if (slash >= 0) return [pluginKind(id.slice(0, slash)), id.slice(slash + 1)];
  const names = new Set(known.map(({ name }) => name));
  const meant = known.filter(({ name }) => name === nearest(id, names)).map(({ kind, name }) => `${kind}/${name}`);
  const hint = meant.length === 0 ? "`rlrf list` shows them all" : `did you mean ${meant.join(" or ")}?`;
  throw new RlrfError("RLRF_USAGE", { message: `"${id}" names no plugin`, expected: "KIND/NAME, e.g. loss/dpo", hint });
}
