/** From what `rlrf plugin add` is asked for to the bytes of a tarball: npm names, URLs, git addresses, folders, tarballs, static registries. */
import { statSync } from "node:fs";
import fs from "node:fs/promises";
import { join, relative, resolve, sep } from "node:path";
import { RlrfError } from "../errors.js";
import { home } from "../setup/paths.js";
import { fileError, makeFolder, writeAtomic } from "../store/files.js";
import { gitClone, mustHoldNoCredentials, npmPack } from "./npm.js";
import type { Project } from "./project.js";
import { fetchFromStatic, staticRegistry } from "./static-registry.js";
import { maxTarballBytes } from "./tar.js";
import { integrityOf } from "./tree.js";

export interface FetchOptions {
  /** npm registry or static one: URL, or the folder of a static one. */
  readonly registry?: string;
  readonly offline?: boolean;
}

export interface Fetched {
  readonly tarball: Buffer;
  /** What was asked for, so that it can be asked for again from the project's folder. */
  readonly from: string;
  readonly registry?: string;
  /** Where it was then. */
  readonly resolved: string;
}

/** @throws RLRF_USAGE, RLRF_PACKAGE_FETCH, RLRF_PACKAGE_UNKNOWN, RLRF_PACKAGE_INTEGRITY, RLRF_PACKAGE_FORM, RLRF_FILE_… */
export async function fetchPackage(spec: string, project: Project, options: FetchOptions): Promise<Fetched> {
  const asked = spec.trim();
  mustHoldNoCredentials(asked, "the package");
  if (options.registry !== undefined) mustHoldNoCredentials(options.registry, "the registry");
  if (asked.startsWith("git+")) return await withTemporary(project, (temporary) => fromGit(asked, temporary, project, options));
  const path = pathOf(asked, project);
  if (path !== null) return await withTemporary(project, (temporary) => fromPath(path, temporary, project, options));
  // npm would take "a/b" for a repository somewhere, and ask the network for it.
  if (!named.test(asked) && !/^https?:\/\/[^\s]+$/.test(asked))
    throw new RlrfError("RLRF_USAGE", {
      message: `${JSON.stringify(spec)} names no package`,
      expected: 'NAME or NAME@RANGE, a path that begins with "." or "/" or ends in .tgz, https://…, or git+https://…#REF',
    });
  if (options.registry !== undefined) {
    const found = await staticRegistry(options.registry, project.folder);
    if (found !== null)
      return { ...(await fetchFromStatic(asked, found)), from: asked, registry: portableRegistry(options.registry, project) };
  }
  return await withTemporary(project, async (temporary) => {
    const tarball = await npmPack(asked, temporary, { cwd: project.folder, ...options });
    const data = await readTarballFile(tarball);
    return { tarball: data, from: asked, resolved: asked, ...(options.registry === undefined ? {} : { registry: options.registry }) };
  });
}

const named = /^(?:@[a-z0-9][a-z0-9._-]*\/)?[a-z0-9][a-z0-9._-]*(?:@[\w.^~<>=|*+ -]+)?$/;

/** A path of this machine when it looks like one, or is one. */
function pathOf(spec: string, { folder }: Project): string | null {
  const path = resolve(folder, spec.replace(/^file:(?:\/\/)?/, ""));
  if (/^(file:|\.{1,2}([\\/]|$)|[\\/])/.test(spec)) return path;
  return !/^[a-z][a-z+.-]+:/i.test(spec) && /\.(tgz|tar\.gz)$/.test(spec) ? path : null;
}

async function fromPath(path: string, temporary: string, project: Project, options: FetchOptions): Promise<Fetched> {
  const stat = await fs.stat(path).catch((error: unknown) => {
    throw fileError(error, path, "read");
  });
  const from = `file:${(relative(project.folder, path) || ".").split(sep).join("/")}`;
  const tarball = stat.isDirectory() ? await npmPack(path, temporary, { cwd: project.folder, ...options }) : path;
  return { tarball: await readTarballFile(tarball), from, resolved: from };
}

async function fromGit(spec: string, temporary: string, project: Project, options: FetchOptions): Promise<Fetched> {
  const clone = join(temporary, "clone");
  const packed = join(temporary, "packed");
  await fs.mkdir(packed);
  const resolved = await gitClone(spec, clone);
  const tarball = await npmPack(clone, packed, { cwd: project.folder, ...options });
  return { tarball: await readTarballFile(tarball), from: spec, resolved };
}

async function readTarballFile(path: string): Promise<Buffer> {
  const { size } = await fs.stat(path);
  if (size > maxTarballBytes)
    throw new RlrfError("RLRF_PACKAGE_ARCHIVE", {
      message: `the tarball has ${size} bytes`,
      where: path,
      expected: `at most ${maxTarballBytes}`,
    });
  return await fs.readFile(path);
}

function portableRegistry(registry: string, { folder }: Project): string {
  return /^https?:/.test(registry) ? registry : (relative(folder, resolve(folder, registry)) || ".").split(sep).join("/");
}

export async function withTemporary<Result>({ packages }: Project, use: (folder: string) => Promise<Result>): Promise<Result> {
  try {
    await makeFolder(packages);
    const folder = await fs.mkdtemp(join(packages, ".new-"));
    try {
      return await use(folder);
    } finally {
      await fs.rm(folder, { recursive: true, force: true });
    }
  } catch (cause) {
    throw diskError(cause, packages);
  }
}

/** What the operating system says, coded; anything else as it is. */
export function diskError(cause: unknown, path: string): unknown {
  return (cause as NodeJS.ErrnoException | null)?.syscall === undefined ? cause : fileError(cause, path, "write");
}

/** Tarballs by their digest, for all projects of this machine: what was had once can be had again without a network. */
export async function keepTarball(tarball: Buffer): Promise<void> {
  const path = keptPath(integrityOf(tarball));
  if (statSync(path, { throwIfNoEntry: false })?.size !== tarball.length) await writeAtomic(path, tarball);
}

/** @returns null when it was never had here, or is damaged */
export async function keptTarball(integrity: string): Promise<Buffer | null> {
  const tarball = await fs.readFile(keptPath(integrity)).catch(() => null);
  return tarball !== null && integrityOf(tarball) === integrity ? tarball : null;
}

function keptPath(integrity: string): string {
  return join(home(), "packages", `${Buffer.from(integrity.slice("sha512-".length), "base64").toString("hex")}.tgz`);
}
