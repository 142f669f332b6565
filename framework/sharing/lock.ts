/** registry/lock.json: which packages of plugins a project uses, to the byte. */
import { RlrfError } from "../errors.js";
import { isPluginKind } from "../contracts/kinds.js";
import { isVersion } from "../kernel/version.js";
import type { Json } from "../spec/json.js";
import { writeJson } from "../store/files.js";
import { Form } from "./form.js";

export interface LockedPlugin {
  readonly version: string;
  /** SHA-512 of its module and of what that imports from its own package. */
  readonly source: string;
  /** SHA-256 of its options schema. */
  readonly options: string;
}

export interface LockedPackage {
  readonly version: string;
  /** What `rlrf plugin add` was asked for; `rlrf plugin update` asks for it again. */
  readonly from: string;
  /** Static or npm registry that `from` was looked up in, where it was not npm's own choice. */
  readonly registry?: string;
  /** What it was then: a URL, a path, a commit. */
  readonly resolved: string;
  /** SHA-512 of the tarball. */
  readonly integrity: string;
  /** SHA-512 of what is in it: of every path and its content. */
  readonly contents: string;
  /** The range of framework versions that it is made for. */
  readonly framework: string;
  /** By KIND/NAME. */
  readonly plugins: Readonly<Record<string, LockedPlugin>>;
}

export interface LockFile {
  readonly lockVersion: 1;
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

export const emptyLock: LockFile = { lockVersion: 1, packages: {} };

/** npm's: lower case, perhaps with a scope. */
export const packageName = /^(?:@[a-z0-9][a-z0-9._-]{0,100}\/)?[a-z0-9][a-z0-9._-]{0,100}$/;
export const packageVersion = /^\d{1,9}\.\d{1,9}\.\d{1,9}(?:[-+][0-9A-Za-z.+-]{1,60})?$/;
const sha512 = /^sha512-[A-Za-z0-9+/]{86}==$/;
const sha256 = /^[0-9a-f]{64}$/;
const keys = ["version", "from", "registry", "resolved", "integrity", "contents", "framework", "plugins"] as const;

/** @returns the empty lock where there is no file. @throws RLRF_PACKAGE_LOCK */
export async function readLock(path: string): Promise<LockFile> {
  const form = lockForm(path);
  const value = await form.read();
  return value === undefined ? emptyLock : lockOf(value, form);
}

export function parseLock(text: string, path: string): LockFile {
  const form = lockForm(path);
  return lockOf(form.parse(text), form);
}

function lockForm(path: string): Form {
  return new Form("RLRF_PACKAGE_LOCK", path, "restore it from version control, or delete it and add the packages again");
}

function lockOf(value: Json, form: Form): LockFile {
  // What a run recorded says more of the run than a project's lock does (run-lock.ts).
  const file = form.object(value, "", ["lockVersion", "packages", "framework", "plugins"]);
  if (file.lockVersion !== 1) throw form.fault("/lockVersion", `lockVersion is ${JSON.stringify(file.lockVersion ?? null)}`, "1");
  const packages = form.object(file.packages, "/packages");
  for (const name of Object.keys(packages)) {
    if (!packageName.test(name)) throw form.fault(`/packages/${name}`, `"${name}" is no name of a package`, "a name as npm has them");
    checkPackage(packages[name] as Json, `/packages/${name}`, name, form);
  }
  return value as unknown as LockFile;
}

function checkPackage(value: Json, pointer: string, name: string, form: Form): void {
  const fields = form.object(value, pointer, keys);
  form.text(fields, "version", pointer, packageVersion);
  for (const key of ["from", "resolved", "framework"]) form.text(fields, key, pointer);
  if (fields.registry !== undefined) form.text(fields, "registry", pointer);
  for (const key of ["integrity", "contents"]) form.text(fields, key, pointer, sha512);
  const plugins = form.object(fields.plugins, `${pointer}/plugins`);
  for (const id of Object.keys(plugins)) {
    const at = `${pointer}/plugins/${id}`;
    const slash = id.indexOf("/");
    if (!isPluginKind(id.slice(0, slash)) || !id.slice(slash + 1).startsWith(`${name}/`))
      throw form.fault(at, `"${id}" cannot be a plugin of ${name}`, `KIND/${name}/NAME`);
    const plugin = form.object(plugins[id], at, ["version", "source", "options"]);
    if (!isVersion(form.text(plugin, "version", at))) throw form.fault(`${at}/version`, "the version is none", "a version like 1.2.3");
    form.text(plugin, "source", at, sha512);
    form.text(plugin, "options", at, sha256);
  }
}

/** Packages in the order of their names, so that two who add different ones can merge. */
export async function writeLock(path: string, { packages }: LockFile): Promise<void> {
  const sorted = Object.fromEntries(Object.entries(packages).sort(([a], [b]) => (a < b ? -1 : 1)));
  await writeJson(path, { lockVersion: 1, packages: sorted } satisfies LockFile);
}

/** @throws RLRF_PACKAGE_UNKNOWN */
export function lockedPackage(lock: LockFile, name: string): LockedPackage {
  const found = Object.hasOwn(lock.packages, name) ? lock.packages[name] : undefined;
  if (found !== undefined) return found;
  throw new RlrfError("RLRF_PACKAGE_UNKNOWN", {
    message: `the project uses no package "${name}"`,
    expected: `one of: ${Object.keys(lock.packages).join(", ") || "(none is locked)"}`,
    hint: "`rlrf plugin list` shows them, `rlrf plugin add` adds one",
  });
}
