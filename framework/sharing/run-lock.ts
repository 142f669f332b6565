/** What a run has to do with locks: whether all of its plugins are locked, and the record of what it used. */
import { RlrfError } from "../errors.js";
import { sourceDigest } from "../kernel/manifest.js";
import type { PluginEntry, Registry } from "../kernel/registry.js";
import { isFile } from "../kernel/imports.js";
import { ownManifest } from "../kernel/manifest-file.js";

import { type NamedPlugin, namedPlugins } from "../spec/named-plugins.js";
import type { Json } from "../spec/json.js";
import type { Spec } from "../spec/types.js";
import { writeAtomic, writeJson } from "../store/files.js";
import type { RunFolder } from "../store/run-folder.js";
import { keptTarball } from "./fetch.js";
import { optionsHash } from "./installed.js";
import { Form } from "./form.js";
import { type LockedPackage, type LockFile, parseLock } from "./lock.js";
import { frameworkVersion } from "../setup/version.js";

/** runs/ID/lock.json: the part of the project's lock that the run used, and every plugin that its spec names. */
export interface RunLock extends LockFile {
  /** The framework's version. */
  readonly framework: string;
  /** By KIND/NAME. */
  readonly plugins: Readonly<Record<string, RecordedPlugin>>;
}

export interface RecordedPlugin {
  readonly version: string;
  /** "rlrf4rec", a locked package, or the manifest that RLRF_PLUGINS named. */
  readonly from: string;
  /** Digest of its source: SHA-256 as its manifest has it, SHA-512 where it is locked. */
  readonly source: string;
  readonly options: string;
}

export const runLockName = "lock.json";
export const runSpecName = "spec.json";

/** @throws RLRF_PACKAGE_LOCK */
export function parseRunLock(text: string, path: string): RunLock {
  const lock = parseLock(text, path) as LockFile & { readonly framework?: unknown; readonly plugins?: unknown };
  const form = new Form("RLRF_PACKAGE_LOCK", path, "the record of this run is damaged: choose another run");
  const plugins = form.object(lock.plugins as Json, "/plugins");
  for (const [id, plugin] of Object.entries(plugins)) {
    const fields = form.object(plugin, `/plugins/${id}`);
    for (const key of ["version", "from", "source", "options"]) form.text(fields, key, `/plugins/${id}`);
  }
  if (typeof lock.framework !== "string") throw form.fault("/framework", "the framework's version is missing", "a version");
  return lock as unknown as RunLock;
}

export function isFrozenByDefault(): boolean {
  return !["", "0", "false"].includes((process.env.CI ?? "").toLowerCase());
}

/** `--frozen`: every plugin comes with the framework, or from a locked package that is what was locked. @throws RLRF_PACKAGE_UNLOCKED, … */
export async function mustBeLocked(spec: Spec, registry: Registry): Promise<void> {
  const named = namedPlugins(spec, registry);
  const unlocked = named.filter(({ entry }) => entry.package === undefined && !isOwn(entry));
  if (unlocked.length > 0)
    throw new RlrfError("RLRF_PACKAGE_UNLOCKED", {
      message: unlocked.map(({ entry, pointer }) => `${pointer}: ${entry.kind}/${entry.name} comes from ${entry.manifest}`).join("\n  "),
      expected: "plugins of the framework, and of packages in registry/lock.json",
      hint: "`rlrf plugin add FOLDER` locks a package; --no-frozen runs without a lock (this run is frozen by --frozen, or because CI is set)",
    });
  for (const { entry } of named) {
    await entry.package?.verify();
    // Own plugins: against the manifest that came with them, as loading does where the source is there.
    if (entry.package === undefined && isFile(entry.file) && (await sourceDigest(entry.file)) !== entry.sha256)
      throw new RlrfError("RLRF_PLUGIN_STALE", { message: `${entry.kind}/${entry.name} is not what its manifest says`, where: entry.file });
  }
}

function isOwn(entry: PluginEntry): boolean {
  return entry.manifest === ownManifest;
}

/**
 * Keeps in the run's folder what it used, with the tarballs of packages: small, and the only copy that no registry can lose.
 * @returns paths of the files
 */
export async function recordLock(folder: RunFolder, spec: Spec, registry: Registry): Promise<readonly string[]> {
  const named = namedPlugins(spec, registry);
  const used = new Map<string, LockedPackage>();
  for (const { entry } of named) if (entry.package !== undefined) used.set(entry.package.name, entry.package.locked);
  const lock: RunLock = {
    lockVersion: 1,
    framework: frameworkVersion(),
    packages: Object.fromEntries(used),
    plugins: Object.fromEntries(named.map(recorded)),
  };
  const paths = [folder.path(runLockName)];
  await writeJson(folder.path(runLockName), lock);
  for (const [name, locked] of used) {
    const tarball = await keptTarball(locked.integrity);
    if (tarball === null) continue; // then `reproduce` asks where it came from
    const path = folder.path("packages", tarballName(name, locked.version));
    await writeAtomic(path, tarball);
    paths.push(path);
  }
  return paths;
}

function recorded({ entry }: NamedPlugin): [string, RecordedPlugin] {
  const from = entry.package?.name ?? (isOwn(entry) ? "rlrf4rec" : entry.manifest);
  return [`${entry.kind}/${entry.name}`, { version: entry.version, from, source: entry.sha256, options: optionsHash(entry) }];
}

/** As npm names them. */
export function tarballName(name: string, version: string): string {
  return `${name.replace(/^@/, "").replace("/", "-")}-${version}.tgz`;
}
