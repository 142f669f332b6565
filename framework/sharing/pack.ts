/** Making a tarball of a package: what would be refused elsewhere is refused here, and signed is what is in the tarball. */
import fs from "node:fs/promises";
import { join, resolve } from "node:path";
import { RlrfError } from "../errors.js";
import { loadPlugin } from "../kernel/load.js";
import { fileError, makeFolder, writeJson } from "../store/files.js";
import { mustHoldNoCredentials, npmFiles, npmPack, npmPublish } from "./npm.js";
import { mustBeSound, mustFitFramework, type PackageFacts, packageEntries, readPackage } from "./package.js";
import { isSignedBy, publicText, readPrivateKey, readSignature, signatureFile, signPackage } from "./signature.js";
import { unpackTarball } from "./tar.js";
import { integrityOf, treeOf } from "./tree.js";

export interface Packed {
  readonly name: string;
  readonly version: string;
  readonly tarball: string;
  readonly integrity: string;
  /** Public key that signed it; null without one. */
  readonly signedBy: string | null;
}

export interface PackOptions {
  /** Folder that the tarball goes to. */
  readonly out: string;
  /** PEM file of the private key to sign with. */
  readonly key?: string;
}

/** @throws RLRF_PLUGIN_STALE when the manifest does not describe the plugins as they are; RLRF_PACKAGE_…, RLRF_KEY_FILE */
export async function packFolder(folder: string, { out, key }: PackOptions): Promise<Packed> {
  const facts = await readPackage(resolve(folder));
  mustFitFramework(facts);
  for (const entry of await packageEntries(facts)) await loadPlugin(entry);
  const signedBy = await sign(facts, key);
  await makeFolder(out);
  const temporary = await fs.mkdtemp(join(resolve(out), ".new-"));
  try {
    const packed = await npmPack(facts.folder, temporary, { cwd: facts.folder });
    const data = await fs.readFile(packed);
    await mustHoldAll(data, facts, signedBy, temporary);
    const tarball = join(resolve(out), packed.slice(temporary.length + 1));
    await fs.rename(packed, tarball);
    return { name: facts.name, version: facts.version, tarball, integrity: integrityOf(data), signedBy };
  } finally {
    await fs.rm(temporary, { recursive: true, force: true });
  }
}

/** A signature that was there is of other files. */
async function sign({ folder, name, version }: PackageFacts, key: string | undefined): Promise<string | null> {
  await fs.rm(join(folder, signatureFile), { force: true });
  if (key === undefined) return null;
  const privateKey = await readPrivateKey(key);
  const files = new Set(await npmFiles(folder));
  const tree = new Map([...(await treeOf(folder))].filter(([path]) => files.has(path)));
  await writeJson(join(folder, signatureFile), signPackage(name, version, tree, privateKey));
  return publicText(privateKey);
}

/** `files` in package.json may have left something out. */
async function mustHoldAll(data: Buffer, { name, version }: PackageFacts, signedBy: string | null, temporary: string): Promise<void> {
  const folder = join(temporary, "package");
  await unpackTarball(data, name, folder);
  await mustBeSound(await readPackage(folder));
  const signature = await readSignature(folder);
  if (signedBy !== null && !(signature !== null && isSignedBy(signedBy, signature, name, version, await treeOf(folder))))
    throw new RlrfError("RLRF_PACKAGE_SIGNATURE", {
      message: `the tarball of ${name} does not hold its signature`,
      where: folder,
      expected: `"${signatureFile}" among "files" in package.json`,
    });
}

export interface PublishOptions {
  readonly key?: string;
  readonly registry?: string;
  readonly tag?: string;
}

/** Packs a folder, or takes a tarball as it is, and hands it to npm. @throws RLRF_USAGE, RLRF_PACKAGE_FETCH with what npm says, … of packFolder */
export async function publishPackage(path: string, { key, registry, tag }: PublishOptions): Promise<Packed> {
  if (registry !== undefined) mustHoldNoCredentials(registry, "the registry");
  const stat = await fs.stat(path).catch((error: unknown) => {
    throw fileError(error, path, "read");
  });
  const folder = stat.isDirectory() ? resolve(path) : process.cwd();
  const temporary = await fs.mkdtemp(join(folder, ".publish-"));
  try {
    const packed = stat.isDirectory()
      ? await packFolder(path, { out: temporary, ...(key === undefined ? {} : { key }) })
      : await facts(path, temporary);
    const options = { cwd: folder, ...(registry === undefined ? {} : { registry }), ...(tag === undefined ? {} : { tag }) };
    await npmPublish(packed.tarball, options);
    return packed;
  } finally {
    await fs.rm(temporary, { recursive: true, force: true });
  }
}

async function facts(path: string, temporary: string): Promise<Packed> {
  const data = await fs.readFile(path);
  const folder = join(temporary, "package");
  await unpackTarball(data, path, folder);
  const read = await readPackage(folder);
  await mustBeSound(read);
  const signature = await readSignature(folder);
  return { name: read.name, version: read.version, tarball: resolve(path), integrity: integrityOf(data), signedBy: signature?.key ?? null };
}
