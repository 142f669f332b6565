/** What a package of plugins has to be: its package.json, its manifest, and everything that makes it fit to be loaded. */
import { existsSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { type ErrorCode, RlrfError } from "../errors.js";
import { isFile, withImports } from "../kernel/imports.js";
import { maxManifestBytes, type PluginEntry, parseManifest } from "../kernel/manifest-file.js";
import { satisfies } from "../kernel/version.js";
import { frameworkVersion } from "../setup/version.js";
import { isObject } from "../spec/origins.js";
import { isInside } from "../store/inside.js";
import { type Fields, Form } from "./form.js";
import { packageName, packageVersion } from "./lock.js";

/** The name under which plugins import the framework, and packages ask for a range of its versions. */
export const frameworkName = "rlrf4rec";

export interface PackageFacts {
  readonly folder: string;
  readonly name: string;
  readonly version: string;
  /** Range of the framework's versions, of its peerDependencies. */
  readonly framework: string;
  readonly manifest: string;
}

/** @throws RLRF_PACKAGE_FORM, RLRF_PACKAGE_PATH */
export async function readPackage(folder: string): Promise<PackageFacts & { readonly fields: Fields }> {
  const form = new Form("RLRF_PACKAGE_FORM", join(folder, "package.json"), "docs/sharing.md shows the form; `rlrf new plugin` writes it");
  const value = await form.read();
  if (value === undefined) throw form.fault("", "there is no package.json", "a package");
  const fields = form.object(value, "");
  const name = form.text(fields, "name", "", packageName);
  const version = form.text(fields, "version", "", packageVersion);
  const plugins = isObject(fields.rlrf) ? fields.rlrf.plugins : undefined;
  if (typeof plugins !== "string" || plugins === "") throw noPlugins(name, version);
  const manifest = resolve(folder, plugins);
  if (!isInside(folder, manifest)) throw outside(name, plugins, '"rlrf.plugins"');
  const peers = form.object(fields.peerDependencies ?? {}, "/peerDependencies");
  const framework = name === frameworkName ? "*" : form.text(peers, frameworkName, "/peerDependencies");
  return { folder, name, version, framework, manifest, fields };
}

/** Of a package from npm, say, which is unpacked in a folder of ours: its own name says more. */
function noPlugins(name: string, version: string): RlrfError {
  return new RlrfError("RLRF_PACKAGE_FORM", {
    message: `${name} is no package of plugins: its package.json has no field rlrf.plugins`,
    where: `package.json of ${name} ${version}, /rlrf/plugins`,
    expected: "the path of its plugins.json",
    hint: "docs/sharing.md shows the form; `rlrf new plugin` writes it",
  });
}

/** The manifest of a package that is not locked: the framework's own, and those that are being written. */
export async function manifestOf(folder: string): Promise<string> {
  return (await readPackage(folder)).manifest;
}

/**
 * Everything besides trust, digests and the range of frameworks that a package has to keep, before any of its code may run.
 * @returns its plugins
 * @throws RLRF_PACKAGE_FORM, RLRF_PACKAGE_NAME, RLRF_PACKAGE_PATH, RLRF_REGISTRY_FILE, RLRF_PLUGIN_SCHEMA
 */
export async function mustBeSound(facts: PackageFacts & { readonly fields: Fields }): Promise<readonly PluginEntry[]> {
  if (facts.name === frameworkName) throw fault("RLRF_PACKAGE_NAME", facts, `"${frameworkName}" is the framework itself`, "another name");
  mustBringDependencies(facts);
  const entries = await packageEntries(facts);
  const { compileSchema } = await import("../spec/validate.js");
  const { strictSchema } = await import("../spec/options.js");
  for (const entry of entries) {
    await withImports(entry.module, (path) => {
      if (!isInside(facts.folder, path))
        throw outside(facts.name, relative(facts.folder, path), `an import of ${entry.kind}/${entry.name}`);
    });
    compileSchema(strictSchema(entry), `${entry.kind}/${entry.name}`);
  }
  return entries;
}

/** The plugins of a package's manifest: theirs alone, in files of its own. @throws RLRF_REGISTRY_FILE, RLRF_PACKAGE_NAME, RLRF_PACKAGE_PATH */
export async function packageEntries({ folder, name, manifest }: PackageFacts): Promise<readonly PluginEntry[]> {
  return checkedEntries(name, folder, parseManifest(await readBounded(manifest, name), manifest));
}

export function checkedEntries(name: string, folder: string, entries: readonly PluginEntry[]): readonly PluginEntry[] {
  const seen = new Set<string>();
  for (const entry of entries) {
    const id = `${entry.kind}/${entry.name}`;
    if (!entry.name.startsWith(`${name}/`))
      throw new RlrfError("RLRF_PACKAGE_NAME", {
        message: `${name} declares ${id}: it would stand for a plugin of someone else`,
        where: entry.manifest,
        expected: `names that begin with "${name}/"`,
        hint: "its author has to rename the plugin in its decorator, and run `npm run registry`",
      });
    if (seen.has(id)) throw fault("RLRF_PACKAGE_NAME", { name, manifest: entry.manifest }, `it declares ${id} twice`, "each plugin once");
    seen.add(id);
    for (const path of [entry.module, entry.file])
      if (!isInside(folder, path)) throw outside(name, relative(folder, path), `"module" or "file" of ${id}`);
    if (!isFile(entry.module))
      throw fault(
        "RLRF_PACKAGE_FORM",
        { name, manifest: entry.manifest },
        `the module of ${id} is missing`,
        relative(folder, entry.module),
        unbuilt,
      );
  }
  return entries;
}

/** @throws RLRF_PACKAGE_FRAMEWORK */
export function mustFitFramework({ name, version, framework }: Pick<PackageFacts, "name" | "version" | "framework">): void {
  const own = frameworkVersion();
  const fits = satisfies(own, framework);
  if (fits === true) return;
  throw new RlrfError("RLRF_PACKAGE_FRAMEWORK", {
    message:
      fits === undefined
        ? `${name} ${version} asks for ${frameworkName} "${framework}", which is not a range of versions`
        : `${name} ${version} is made for ${frameworkName} ${framework}, and this is ${own}`,
    expected: fits === undefined ? 'a range like "^0.1.0" in its peerDependencies' : `a package whose range ${own} is in`,
    hint: `\`rlrf plugin add ${name}@VERSION\` takes another version of it`,
  });
}

/** A package is one file with one digest: what it needs besides the framework has to be in it. */
function mustBringDependencies(facts: PackageFacts & { readonly fields: Fields }): void {
  const { fields, folder } = facts;
  const named = ["dependencies", "optionalDependencies", "peerDependencies"].flatMap((key) => {
    const value = fields[key];
    return typeof value === "object" && value !== null ? Object.keys(value) : [];
  });
  for (const name of named) {
    if (name === frameworkName) {
      if (typeof (fields.dependencies as Fields | undefined)?.[name] === "string")
        throw fault("RLRF_PACKAGE_FORM", facts, `${name} stands in its dependencies`, `${name} in peerDependencies: the one that runs it`);
    } else if (!packageName.test(name) || !existsSync(join(folder, "node_modules", name, "package.json")))
      throw fault(
        "RLRF_PACKAGE_FORM",
        facts,
        `it depends on ${JSON.stringify(name)}, which it does not bring`,
        "its dependencies in bundleDependencies",
      );
  }
  if (existsSync(join(folder, "node_modules", frameworkName)))
    throw fault("RLRF_PACKAGE_NAME", facts, `it brings a ${frameworkName} of its own`, "none: the one that runs it is used");
}

async function readBounded(path: string, name: string): Promise<string> {
  const facts = { name, manifest: path };
  const expected = `a file of at most ${maxManifestBytes} bytes`;
  if (!isFile(path))
    throw fault("RLRF_PACKAGE_FORM", facts, "its manifest is missing", "the file that rlrf.plugins of its package.json names", unbuilt);
  if (statSync(path).size > maxManifestBytes) throw fault("RLRF_PACKAGE_FORM", facts, "its manifest is too large", expected);
  return await readFile(path, "utf8");
}

function outside(name: string, path: string, what: string): RlrfError {
  return new RlrfError("RLRF_PACKAGE_PATH", {
    message: `${name} names a path outside its own folder: ${JSON.stringify(path)} (${what})`,
    expected: "paths inside the package",
    hint: `do not use this package; ${tellPublisher}`,
  });
}

const tellPublisher = "tell its publisher";
/** Who packs a package is told the same as who would use it. */
const unbuilt = `\`npm run build\` in the package's folder makes it; where the package is someone else's, ${tellPublisher}`;

function fault(
  code: ErrorCode,
  { name, manifest }: Pick<PackageFacts, "name" | "manifest">,
  message: string,
  expected: string,
  hint = tellPublisher,
): RlrfError {
  return new RlrfError(code, { message: `${name} cannot be used: ${message}`, where: manifest, expected, hint });
}
