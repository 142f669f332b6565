/** Writing a manifest: from the decorators of a folder of plugins to the entries that the registry reads. */
import { createHash, type Hash } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { pathToFileURL } from "node:url";
import { pluginKinds } from "../contracts/kinds.js";
import type { PluginClass } from "../contracts/plugin.js";
import { RlrfError } from "../errors.js";
import { withImports } from "./imports.js";
import { identityOf } from "./plugin.js";
import type { Manifest, ManifestEntry } from "./manifest-file.js";

/**
 * @param sources folder of TypeScript plugins, and `built` the folder of their modules
 * @param target folder of the manifest, which its paths are relative to
 */
export async function describePlugins(sources: string, built: string, target: string): Promise<Manifest> {
  const plugins: ManifestEntry[] = [];
  for (const file of await typescriptFiles(sources)) {
    const module = join(built, relative(sources, file).replace(/\.ts$/, ".js"));
    const exports = Object.values(await importModule(module, relative(target, file)));
    for (const identity of exports.filter(isClass).map(identityOf)) {
      if (identity === undefined) continue;
      const paths = { module: portable(relative(target, module)), file: portable(relative(target, file)) };
      plugins.push({ ...identity, ...paths, sha256: await sourceDigest(file) });
    }
  }
  const kinds = Object.keys(pluginKinds);
  plugins.sort((a, b) => kinds.indexOf(a.kind) - kinds.indexOf(b.kind) || (a.name < b.name ? -1 : 1));
  return { plugins };
}

/** @throws RLRF_PLUGIN_IMPORT */
export async function importModule(module: string, name: string): Promise<object> {
  try {
    return (await import(pathToFileURL(module).href)) as object;
  } catch (cause) {
    throw new RlrfError(
      "RLRF_PLUGIN_IMPORT",
      {
        message: `${name} cannot be imported: ${cause instanceof Error ? cause.message : String(cause)}`,
        where: module,
        hint: existsSync(module) ? "mend what the module throws or imports" : "`npm run build` compiles the plugins",
      },
      { cause },
    );
  }
}

/** Digest of a plugin's source and of everything it imports by a relative path: what its results depend on besides the framework. */
export async function sourceDigest(file: string): Promise<string> {
  return (await sourceHash(file, "sha256")).digest("hex");
}

export async function sourceHash(file: string, algorithm: "sha256" | "sha512"): Promise<Hash> {
  const hash = createHash(algorithm);
  for (const path of [...(await withImports(file))].sort()) hash.update(await readFile(path)).update("\0");
  return hash;
}

async function typescriptFiles(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder, { recursive: true });
  return names
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".d.ts"))
    .sort()
    .map((name) => join(folder, name));
}

export function isClass(value: unknown): value is PluginClass {
  return typeof value === "function" && value.prototype !== undefined;
}

function portable(path: string): string {
  return path.split(sep).join("/");
}
