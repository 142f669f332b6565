/** Packages that a plugin works with and that users install themselves, since they are large or bound to a machine. */
import { readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { RlrfError } from "../errors.js";
import { home, packageRoot } from "./paths.js";

interface Manifest {
  readonly version: string;
  readonly main?: string;
}

/** Where peers may be installed for all checkouts of a machine. */
export function peersFolder(): string {
  return join(home(), "node");
}

/**
 * Imports an optional peer of this package: from the node_modules that this package, the current folder or `RLRF_HOME/node` sees, in this order.
 * @param version the only one that its user was written for
 * @param purpose who needs it, for messages
 * @throws RLRF_PEER_MISSING, RLRF_PEER_VERSION, RLRF_PEER_BROKEN
 */
export async function importPeer<Module>(name: string, version: string, purpose: string): Promise<Module> {
  const install = `npm install --prefix ${peersFolder()} --ignore-scripts ${name}@${version}`;
  const found = await find(name);
  if (found === undefined)
    throw new RlrfError("RLRF_PEER_MISSING", {
      message: `${purpose} needs the package ${name}, which is not installed`,
      expected: `${name} ${version} where this package, the current folder or ${peersFolder()} can find it`,
      hint: install,
    });
  const { folder, manifest } = found;
  if (manifest.version !== version)
    throw new RlrfError("RLRF_PEER_VERSION", {
      message: `${purpose} works with ${name} ${version}, and finds ${manifest.version}`,
      where: folder,
      expected: `version ${version}`,
      hint: install,
    });
  try {
    return (await import(pathToFileURL(join(folder, manifest.main ?? "index.js")).href)) as Module;
  } catch (cause) {
    const message = `${name} cannot be imported: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new RlrfError("RLRF_PEER_BROKEN", { message, where: folder, hint: `remove it, then ${install}` }, { cause });
  }
}

async function find(name: string): Promise<{ readonly folder: string; readonly manifest: Manifest } | undefined> {
  for (const start of [packageRoot, process.cwd(), peersFolder()]) {
    for (let at = resolve(start); ; at = dirname(at)) {
      const folder = join(at, "node_modules", name);
      const text = await readFile(join(folder, "package.json"), "utf8").catch(() => null);
      if (text !== null) return { folder, manifest: JSON.parse(text) as Manifest };
      if (dirname(at) === at) break;
    }
  }
  return undefined;
}
