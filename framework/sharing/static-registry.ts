/** A registry that is a folder of files: index.json and tarballs, on a disk or behind any web server (docs/sharing.md). */
import fs from "node:fs/promises";
import { join, resolve } from "node:path";
import { RlrfError } from "../errors.js";
import { request } from "../http/request.js";
import { satisfies } from "../kernel/version.js";
import { Form } from "./form.js";
import { packageName } from "./lock.js";
import { maxTarballBytes } from "./tar.js";
import { integrityOf } from "./tree.js";

export const indexName = "index.json";

export interface IndexedPlugin {
  readonly kind: string;
  readonly name: string;
  readonly version: string;
  readonly summary: string;
  readonly source: string;
}

export interface IndexedVersion {
  /** Path of the tarball below the registry. */
  readonly tarball: string;
  readonly integrity: string;
  readonly framework: string;
  readonly plugins: readonly IndexedPlugin[];
}

export interface RegistryIndex {
  readonly registryVersion: 1;
  /** Name -> version -> what. */
  readonly packages: Readonly<Record<string, Readonly<Record<string, IndexedVersion>>>>;
}

export interface StaticRegistry {
  readonly at: string;
  readonly index: RegistryIndex;
  read(path: string, limit: number): Promise<Buffer>;
}

/** @returns null where no index.json of ours is: then it is an npm registry. @throws RLRF_PACKAGE_FORM, RLRF_PACKAGE_FETCH */
export async function staticRegistry(at: string, folder: string): Promise<StaticRegistry | null> {
  const remote = /^https?:\/\//.test(at);
  const base = remote ? at.replace(/\/*$/, "/") : resolve(folder, at);
  const read = remote ? overHttp(base) : (path: string) => fs.readFile(join(base, path));
  const form = new Form("RLRF_PACKAGE_FORM", `${base.replace(/[\\/]*$/, "")}/${indexName}`, "`rlrf registry build FOLDER` writes it");
  const text = await read(indexName, 64 << 20).catch((error: unknown) => {
    if (remote && error instanceof NoFile) return null;
    throw error instanceof RlrfError ? error : unreachable(base, error);
  });
  if (text === null || (remote && !text.includes('"registryVersion"'))) return null;
  const file = form.object(form.parse(text.toString("utf8")), "", ["registryVersion", "packages"]);
  if (file.registryVersion !== 1) throw form.fault("/registryVersion", "it is another form of registry", "1");
  for (const [name, versions] of Object.entries(form.object(file.packages, "/packages"))) {
    if (!packageName.test(name)) throw form.fault(`/packages/${name}`, `"${name}" is no name of a package`, "a name as npm has them");
    for (const [version, entry] of Object.entries(form.object(versions, `/packages/${name}`))) {
      const pointer = `/packages/${name}/${version}`;
      const fields = form.object(entry, pointer);
      form.text(fields, "tarball", pointer, /^packages\/[a-z0-9][a-zA-Z0-9.+_-]*\.tgz$/);
      form.text(fields, "integrity", pointer, /^sha512-[A-Za-z0-9+/]{86}==$/);
    }
  }
  return { at, index: file as unknown as RegistryIndex, read };
}

/** @param spec NAME or NAME@RANGE. @throws RLRF_PACKAGE_UNKNOWN, RLRF_PACKAGE_INTEGRITY, RLRF_PACKAGE_FETCH */
export async function fetchFromStatic(spec: string, registry: StaticRegistry): Promise<{ tarball: Buffer; resolved: string }> {
  const { name, range } = splitSpec(spec);
  const versions = Object.hasOwn(registry.index.packages, name) ? (registry.index.packages[name] ?? {}) : {};
  const version = Object.keys(versions)
    .filter((candidate) => candidate === range || satisfies(candidate, range) === true)
    .sort(byVersion)
    .at(-1);
  const entry = version === undefined ? undefined : versions[version];
  if (entry === undefined)
    throw new RlrfError("RLRF_PACKAGE_UNKNOWN", {
      message: `the registry has no ${name} in ${range}`,
      where: registry.at,
      expected:
        Object.keys(versions).length > 0
          ? `one of its versions: ${Object.keys(versions).join(", ")}`
          : `one of: ${Object.keys(registry.index.packages).join(", ") || "(it is empty)"}`,
    });
  const tarball = await registry.read(entry.tarball, maxTarballBytes).catch((error: unknown) => {
    throw unreachable(`${registry.at} ${entry.tarball}`, error);
  });
  if (integrityOf(tarball) !== entry.integrity)
    throw new RlrfError("RLRF_PACKAGE_INTEGRITY", {
      message: `the tarball of ${name} ${version} is not the one that the registry's index names`,
      where: `${registry.at} ${entry.tarball}`,
      expected: entry.integrity,
      hint: "tell whoever runs the registry",
    });
  return { tarball, resolved: `${name}@${version}` };
}

/** "@team/losses@^1.2" -> name and range; "*" when none is given. */
export function splitSpec(spec: string): { readonly name: string; readonly range: string } {
  const at = spec.indexOf("@", 1);
  return at < 0 ? { name: spec, range: "*" } : { name: spec.slice(0, at), range: spec.slice(at + 1) || "*" };
}

/** Ascending; what is no plain version comes first. */
export function byVersion(a: string, b: string): number {
  const parts = (version: string) => (/^\d+\.\d+\.\d+$/.test(version) ? version.split(".").map(Number) : [-1]);
  const [left, right] = [parts(a), parts(b)];
  for (let i = 0; i < 3; i++) if ((left[i] ?? 0) !== (right[i] ?? 0)) return (left[i] ?? 0) - (right[i] ?? 0);
  return a < b ? -1 : 1;
}

class NoFile extends Error {}

function overHttp(base: string): StaticRegistry["read"] {
  return async (path, limit) => {
    const url = new URL(path, base);
    const { status, body } = await request(url, { method: "GET", timeout: 30_000, connectTimeout: 10_000, wholeTimeout: 300_000, limit });
    if (status === 200) return body;
    // A private npm registry asks who is there, and only npm knows: so it is taken for one, and npm says what is wrong.
    const noFile = [401, 403, 404, 405].includes(status) || (status >= 300 && status < 400);
    throw noFile ? new NoFile(`status ${status}`) : new Error(`status ${status}`);
  };
}

function unreachable(where: string, cause: unknown): RlrfError {
  if (cause instanceof RlrfError) return cause;
  return new RlrfError(
    "RLRF_PACKAGE_FETCH",
    { message: `the registry cannot be read: ${(cause as Error).message}`, where, hint: "check its address, or the folder" },
    { cause },
  );
}
