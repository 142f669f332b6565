/** The packages that a project has locked and unpacked: their manifests for the registry, and the check that comes before their code. */
import fs from "node:fs/promises";
import { dirname, join } from "node:path";
import { RlrfError } from "../errors.js";
import type { PluginEntry } from "../kernel/manifest-file.js";
import { sourceHash } from "../kernel/manifest.js";
import { packageRoot } from "../setup/paths.js";
import { makeFolder } from "../store/files.js";
import { hashOf } from "../store/hash.js";
import { type LockedPackage, type LockedPlugin, readLock } from "./lock.js";
import { frameworkName, mustFitFramework, packageEntries, readPackage } from "./package.js";
import type { Project } from "./project.js";
import { mustBeTrusted, readTrust } from "./trust.js";
import { digestOf, treeOf } from "./tree.js";

/** One package of a project's lock. */
export class InstalledPackage {
  private verified: Promise<void> | undefined;

  constructor(
    private readonly project: Project,
    readonly name: string,
    readonly locked: LockedPackage,
  ) {}

  get folder(): string {
    return packageFolder(this.project, this.name, this.locked);
  }

  /** As `rlrf describe --json` shows it. */
  toJSON(): object {
    const { version, integrity, resolved } = this.locked;
    return { name: this.name, version, integrity, resolved };
  }

  /**
   * That every file is what was locked, that the package is trusted, and made for this framework: once a process, before its code is loaded.
   * @throws RLRF_PACKAGE_MISSING, RLRF_PACKAGE_INTEGRITY, RLRF_PACKAGE_UNTRUSTED, RLRF_PACKAGE_SIGNATURE, RLRF_PACKAGE_FRAMEWORK
   */
  verify(): Promise<void> {
    this.verified ??= this.check();
    return this.verified;
  }

  private async check(): Promise<void> {
    const { name, locked, folder } = this;
    const tree = await treeOf(folder).catch(() => null);
    if (tree === null) throw missing(name, locked, folder);
    if (digestOf(tree) !== locked.contents) throw changed(name, locked, folder, "its files are not those that were locked");
    const { version } = await readPackage(folder);
    mustFitFramework({ name, version, framework: locked.framework });
    for (const entry of await this.entries())
      if ((await sourceOf(entry)) !== entry.sha256)
        throw changed(name, locked, folder, `the source of ${entry.kind}/${entry.name} is not what was locked`);
    await mustBeTrusted(await readTrust(this.project.trust), this.project.trust, { name, version, folder, tree });
    await linkFramework(this.project);
  }

  /** What the manifest says, as long as it says what was locked. @throws RLRF_PACKAGE_MISSING, RLRF_PACKAGE_INTEGRITY, … of packageEntries */
  async entries(): Promise<readonly PluginEntry[]> {
    const { name, locked, folder } = this;
    if ((await fs.stat(folder).catch(() => null)) === null) throw missing(name, locked, folder);
    const facts = await readPackage(folder);
    const entries = await packageEntries(facts);
    const same = facts.name === name && facts.version === locked.version && entries.length === Object.keys(locked.plugins).length;
    if (!same) throw changed(name, locked, folder, "its package.json or manifest is not what was locked");
    return entries.map((entry) => {
      const id = `${entry.kind}/${entry.name}`;
      const plugin = Object.hasOwn(locked.plugins, id) ? locked.plugins[id] : undefined;
      if (plugin?.version !== entry.version || plugin.options !== optionsHash(entry))
        throw changed(name, locked, folder, `${id} is not what was locked`);
      return { ...entry, sha256: plugin.source, package: this };
    });
  }
}

/** @returns what can be used, and of what cannot, why not. @throws RLRF_PACKAGE_LOCK */
export async function installedPackages(
  project: Project,
): Promise<{ readonly entries: readonly PluginEntry[]; readonly unusable: ReadonlyMap<string, RlrfError> }> {
  const { packages } = await readLock(project.lock);
  const unusable = new Map<string, RlrfError>();
  const entries: PluginEntry[] = [];
  for (const [name, locked] of Object.entries(packages))
    try {
      entries.push(...(await new InstalledPackage(project, name, locked).entries()));
    } catch (error) {
      if (!(error instanceof RlrfError)) throw error;
      unusable.set(name, error);
    }
  return { entries, unusable };
}

/** A folder of its own for each content, so that going back to an older one needs no download. */
export function packageFolder(
  { packages }: Project,
  name: string,
  { version, contents }: Pick<LockedPackage, "version" | "contents">,
): string {
  const digest = Buffer.from(contents.slice("sha512-".length), "base64").toString("hex").slice(0, 16);
  return join(packages, `${name.replace("/", "+")}@${version}-${digest}`);
}

export async function lockedPlugin(entry: PluginEntry): Promise<LockedPlugin> {
  return { version: entry.version, source: await sourceOf(entry), options: optionsHash(entry) };
}

async function sourceOf(entry: PluginEntry): Promise<string> {
  return `sha512-${(await sourceHash(entry.module, "sha512")).digest("base64")}`;
}

export function optionsHash({ options }: Pick<PluginEntry, "options">): string {
  return hashOf(options ?? null);
}

/** Plugins import "rlrf4rec": the framework that runs them, whatever else lies about. */
async function linkFramework({ packages }: Project): Promise<void> {
  const link = join(packages, "node_modules", frameworkName);
  if ((await fs.realpath(link).catch(() => "")) === (await fs.realpath(packageRoot))) return;
  await makeFolder(dirname(link));
  const temporary = `${link}.${process.pid}`;
  await fs.rm(temporary, { force: true });
  await fs.symlink(packageRoot, temporary, "junction");
  await fs.rename(temporary, link);
}

function missing(name: string, { version }: LockedPackage, folder: string): RlrfError {
  return new RlrfError("RLRF_PACKAGE_MISSING", {
    message: `${name} ${version} is locked, but not here yet`,
    where: folder,
    hint: "`rlrf plugin install` fetches what the lock names",
  });
}

function changed(name: string, { version }: LockedPackage, folder: string, why: string): RlrfError {
  return new RlrfError("RLRF_PACKAGE_INTEGRITY", {
    message: `${name} ${version}: ${why}; none of its code was loaded`,
    where: folder,
    hint: "find out who changed it; `rlrf plugin install` fetches it anew, as it was locked",
  });
}
