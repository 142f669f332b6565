/** `rlrf registry build`: a folder of tarballs, an index and a page, that any web server or bucket serves. */
import fs from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { RlrfError } from "../errors.js";
import { fileError, makeFolder, writeAtomic, writeJson } from "../store/files.js";
import { cataloguePage } from "./catalogue-page.js";
import { fetchPackage, type FetchOptions, keptTarball, withTemporary } from "./fetch.js";
import { exclusively } from "./install.js";
import { readLock } from "./lock.js";
import { mustBeSound, readPackage } from "./package.js";
import type { Project } from "./project.js";
import { tarballName } from "./run-lock.js";
import { byVersion, type IndexedVersion, indexName, type RegistryIndex } from "./static-registry.js";
import { unpackTarball } from "./tar.js";
import { integrityOf } from "./tree.js";

/**
 * Puts packages beside those that the folder has, and writes index.json and index.html anew.
 * @param specs as `rlrf plugin add` takes them; none: the packages of the project's lock
 * @throws RLRF_PACKAGE_INTEGRITY when a version is there with other contents: what was published does not change
 */
export async function buildRegistry(
  target: string,
  specs: readonly string[],
  project: Project,
  options: FetchOptions,
): Promise<RegistryIndex> {
  const packages = resolve(project.folder, target, "packages");
  await makeFolder(packages).catch((error: unknown) => {
    throw fileError(error, packages, "write");
  });
  return await exclusively(project, () => build(packages, specs, project, options));
}

async function build(packages: string, specs: readonly string[], project: Project, options: FetchOptions): Promise<RegistryIndex> {
  for (const { tarball, source } of specs.length > 0 ? await fetched(specs, project, options) : await locked(project, options)) {
    const { name, version } = await inspect(tarball, source, project);
    const path = join(packages, tarballName(name, version));
    const there = await fs.readFile(path).catch(() => null);
    if (there !== null && integrityOf(there) !== integrityOf(tarball))
      throw new RlrfError("RLRF_PACKAGE_INTEGRITY", {
        message: `${name} ${version} is there already, with other contents`,
        where: path,
        expected: "another version: those who locked this one rely on it",
      });
    await writeAtomic(path, tarball);
  }
  const index = await indexOf(packages, project);
  await writeAtomic(resolve(packages, "..", "index.html"), cataloguePage(index));
  await writeJson(resolve(packages, "..", indexName), index);
  return index;
}

interface Asked {
  readonly tarball: Buffer;
  /** As it was asked for. */
  readonly source: string;
}

async function fetched(specs: readonly string[], project: Project, options: FetchOptions): Promise<Asked[]> {
  const tarballs: Asked[] = [];
  for (const spec of specs) tarballs.push({ tarball: (await fetchPackage(spec, project, options)).tarball, source: spec });
  return tarballs;
}

async function locked(project: Project, options: FetchOptions): Promise<Asked[]> {
  const tarballs: Asked[] = [];
  for (const { integrity, resolved, registry } of Object.values((await readLock(project.lock)).packages)) {
    const from = { ...(registry === undefined ? {} : { registry }), ...options };
    const tarball = (await keptTarball(integrity)) ?? (await fetchPackage(resolved, project, from)).tarball;
    tarballs.push({ tarball, source: resolved });
  }
  return tarballs;
}

async function indexOf(packages: string, project: Project): Promise<RegistryIndex> {
  const found: { readonly name: string; readonly version: string; readonly entry: IndexedVersion }[] = [];
  for (const file of (await fs.readdir(packages)).filter((name) => name.endsWith(".tgz"))) {
    const tarball = await fs.readFile(join(packages, file));
    const { name, version, framework, plugins } = await inspect(tarball, join(packages, file), project);
    found.push({ name, version, entry: { tarball: `packages/${basename(file)}`, integrity: integrityOf(tarball), framework, plugins } });
  }
  found.sort((a, b) => (a.name === b.name ? byVersion(a.version, b.version) : a.name < b.name ? -1 : 1));
  const index: Record<string, Record<string, IndexedVersion>> = {};
  for (const { name, version, entry } of found) index[name] = { ...index[name], [version]: entry };
  return { registryVersion: 1, packages: index };
}

type Inspected = Pick<IndexedVersion, "framework" | "plugins"> & { readonly name: string; readonly version: string };

/** None of its code runs; whether it is trusted is for those to say who load it. */
async function inspect(tarball: Buffer, source: string, project: Project): Promise<Inspected> {
  return await withTemporary(project, async (temporary) => {
    const folder = join(temporary, "package");
    await unpackTarball(tarball, source, folder);
    const facts = await readPackage(folder);
    const plugins = (await mustBeSound(facts)).map(({ kind, name, version, summary, source: paper }) => ({
      kind,
      name,
      version,
      summary,
      source: paper,
    }));
    return { name: facts.name, version: facts.version, framework: facts.framework, plugins };
  });
}
