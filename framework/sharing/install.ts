/** What `rlrf plugin` does to a project: packages in, out, and back to what the lock says. Whatever fails leaves all as it was. */
import fs from "node:fs/promises";
import { join } from "node:path";
import { RlrfError } from "../errors.js";
import { withLock } from "../store/with-lock.js";
import { diskError, type Fetched, type FetchOptions, fetchPackage, keepTarball, keptTarball, withTemporary } from "./fetch.js";
import { InstalledPackage, lockedPlugin, packageFolder } from "./installed.js";
import { emptyLock, type LockedPackage, lockedPackage, type LockFile, readLock, writeLock } from "./lock.js";
import { mustBeSound, mustFitFramework, readPackage } from "./package.js";
import type { Project } from "./project.js";
import { splitSpec } from "./static-registry.js";
import { unpackTarball } from "./tar.js";
import { addTrust, mustBeTrusted, readTrust, ruleFor, type Trust } from "./trust.js";
import { digestOf, integrityOf, treeOf } from "./tree.js";

export interface AddOptions extends FetchOptions {
  /** Write a rule for this very package into registry/trust.json. */
  readonly trust?: boolean;
}

export interface Added {
  readonly name: string;
  readonly locked: LockedPackage;
  /** Its version until now; null when it is new. */
  readonly before: string | null;
  /** The key that has signed it; null where none had to. */
  readonly signer: string | null;
}

/** Fetches, checks, unpacks and locks one package. @throws every RLRF_PACKAGE_… that says why it is refused */
export async function addPackage(project: Project, spec: string, options: AddOptions = {}): Promise<Added> {
  return await exclusively(project, async () => {
    const lock = await readLock(project.lock);
    return await enter(project, lock, await fetchPackage(spec, project, options), options.trust === true);
  });
}

/** Asks again for what each package was added as. @param names of packages; none = all */
export async function updatePackages(project: Project, names: readonly string[], options: FetchOptions = {}): Promise<readonly Added[]> {
  return await exclusively(project, async () => {
    const lock = await readLock(project.lock);
    const added: Added[] = [];
    for (const name of names.length > 0 ? names : Object.keys(lock.packages)) {
      const { from, registry } = lockedPackage(lock, name);
      const fetched = await fetchPackage(from, project, { ...(registry === undefined ? {} : { registry }), ...options });
      added.push(await enter(project, await readLock(project.lock), fetched, false, name));
    }
    return added;
  });
}

/** @throws RLRF_PACKAGE_UNKNOWN */
export async function removePackage(project: Project, name: string): Promise<void> {
  await exclusively(project, async () => {
    const lock = await readLock(project.lock);
    lockedPackage(lock, name);
    const { [name]: _, ...packages } = lock.packages;
    await writeLock(project.lock, { ...lock, packages });
    const folders = await fs.readdir(project.packages).catch(() => []);
    for (const folder of folders)
      if (folder.startsWith(`${name.replace("/", "+")}@`)) await fs.rm(join(project.packages, folder), { recursive: true, force: true });
  });
}

/** Brings the folder of packages to what the lock says. @returns what had to be fetched */
export async function installLocked(project: Project, options: FetchOptions = {}): Promise<readonly string[]> {
  return await exclusively(project, async () => {
    const fetched: string[] = [];
    for (const [name, locked] of Object.entries((await readLock(project.lock)).packages)) {
      if (await isWhole(project, name, locked)) continue;
      await fetchLocked(project, name, locked, options);
      fetched.push(`${name}@${locked.version}`);
    }
    return fetched;
  });
}

/** One of the packages that a lock names, and whether it may be loaded. */
export async function restorePackage(project: Project, name: string, locked: LockedPackage, options: FetchOptions = {}): Promise<void> {
  await exclusively(project, async () => {
    if (!(await isWhole(project, name, locked))) await fetchLocked(project, name, locked, options);
    await new InstalledPackage(project, name, locked).verify();
  });
}

async function isWhole(project: Project, name: string, locked: LockedPackage): Promise<boolean> {
  const tree = await treeOf(packageFolder(project, name, locked)).catch(() => null);
  return tree !== null && digestOf(tree) === locked.contents;
}

/** The same bytes as were locked, from this machine or from where they came. @throws RLRF_PACKAGE_INTEGRITY, … of fetchPackage */
async function fetchLocked(project: Project, name: string, locked: LockedPackage, options: FetchOptions): Promise<void> {
  const kept = await keptTarball(locked.integrity);
  const { resolved, registry } = locked;
  const tarball = kept ?? (await fetchPackage(resolved, project, { ...(registry === undefined ? {} : { registry }), ...options })).tarball;
  await withTemporary(project, async (temporary) => {
    const unpacked = await unpack(project, tarball, temporary, `${name}@${locked.version}`);
    // What npm packs of a folder or a commit may be packed otherwise by another npm: then its contents have to be the same.
    if (unpacked.locked.contents !== locked.contents || unpacked.name !== name)
      throw new RlrfError("RLRF_PACKAGE_INTEGRITY", {
        message: `${name} ${locked.version} is not what was locked any more`,
        where: resolved,
        expected: locked.contents,
        hint: "find out who changed it; `rlrf plugin add` takes it as it is now",
      });
    await place(project, unpacked);
  });
  await keepTarball(tarball);
}

/** @param expected the package's name, where it was asked for by name: a registry may not answer with another one */
async function enter(project: Project, lock: LockFile, fetched: Fetched, trust: boolean, expected = nameIn(fetched.from)): Promise<Added> {
  const { from, registry, tarball } = fetched;
  const added = await withTemporary(project, async (temporary) => {
    const unpacked = await unpack(project, tarball, temporary, from, trust);
    const { name, signer, locked } = unpacked;
    if (expected !== undefined && name !== expected)
      throw new RlrfError("RLRF_PACKAGE_NAME", { message: `${expected} was asked for, and ${name} came`, where: from, expected });
    // A name with a range stands for one version from now on.
    const resolved = fetched.resolved === from && nameIn(from) !== undefined ? `${name}@${locked.version}` : fetched.resolved;
    const entry: LockedPackage = {
      version: locked.version,
      from,
      ...(registry === undefined ? {} : { registry }),
      resolved,
      integrity: locked.integrity,
      contents: locked.contents,
      framework: locked.framework,
      plugins: locked.plugins,
    };
    await place(project, unpacked);
    return { name, locked: entry, before: lock.packages[name]?.version ?? null, signer };
  });
  await keepTarball(tarball);
  if (trust && ruleFor(await readTrust(project.trust), added.name) === undefined) await addTrust(project.trust, added.name);
  await writeLock(project.lock, { ...emptyLock, packages: { ...lock.packages, [added.name]: added.locked } });
  return added;
}

/** undefined for paths and addresses. */
function nameIn(from: string): string | undefined {
  return /^(file:|git\+|https?:)/.test(from) ? undefined : splitSpec(from).name;
}

interface Unpacked {
  readonly name: string;
  readonly folder: string;
  readonly signer: string | null;
  readonly locked: Pick<LockedPackage, "version" | "integrity" | "contents" | "framework" | "plugins">;
}

/** Trust comes first: of a package that nobody vouches for, nothing besides its name is looked at. */
async function unpack(project: Project, tarball: Buffer, temporary: string, source: string, trust = false): Promise<Unpacked> {
  const folder = join(temporary, "package");
  await unpackTarball(tarball, source, folder);
  const facts = await readPackage(folder);
  const { name, version, framework } = facts;
  const tree = await treeOf(folder);
  const rules = trust ? await trusting(project, name) : await readTrust(project.trust);
  const signer = await mustBeTrusted(rules, project.trust, { name, version, folder, tree });
  mustFitFramework(facts);
  const entries = await mustBeSound(facts);
  const plugins: Record<string, Awaited<ReturnType<typeof lockedPlugin>>> = {};
  for (const entry of entries) plugins[`${entry.kind}/${entry.name}`] = await lockedPlugin(entry);
  return { name, folder, signer, locked: { version, integrity: integrityOf(tarball), contents: digestOf(tree), framework, plugins } };
}

/** The rules as they would be with one for this package, which is written only once everything else holds; a rule that is there stays. */
async function trusting(project: Project, name: string): Promise<Trust> {
  const rules = await readTrust(project.trust);
  return ruleFor(rules, name) === undefined ? { ...rules, packages: { ...rules.packages, [name]: {} } } : rules;
}

async function place(project: Project, { name, folder, locked }: Unpacked): Promise<void> {
  const target = packageFolder(project, name, locked);
  const there = await treeOf(target).catch(() => null);
  if (there !== null && digestOf(there) === locked.contents) return;
  await fs.rm(target, { recursive: true, force: true });
  await fs.rename(folder, target);
}

/** One command at a time has temporary folders in a project; what a killed one left behind is swept away. */
export async function exclusively<Result>(project: Project, work: () => Promise<Result>): Promise<Result> {
  const locked = withLock(join(project.packages, ".lock"), async () => {
    for (const name of await fs.readdir(project.packages))
      if (name.startsWith(".new-")) await fs.rm(join(project.packages, name), { recursive: true, force: true });
    return await work();
  });
  return await locked.catch((cause: unknown) => {
    throw diskError(cause, project.packages);
  });
}

/** @returns the packages of the lock, in its order */
export async function lockedPackages(project: Project): Promise<readonly InstalledPackage[]> {
  const { packages } = await readLock(project.lock);
  return Object.entries(packages).map(([name, locked]) => new InstalledPackage(project, name, locked));
}
