/** From a registry entry to the plugin's class: imports that one module, and makes sure that it is what the registry says. */
import { existsSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import type { PluginClass, PluginIdentity } from "../contracts/plugin.js";
import { RlrfError } from "../errors.js";
import { importModule, isClass, sourceDigest } from "./manifest.js";
import { identityOf } from "./plugin.js";
import type { PluginEntry } from "./registry.js";

/** Everything that a plugin says of itself: a key that is forgotten here does not compile. */
const identity: Readonly<Record<keyof PluginIdentity, true>> = {
  kind: true,
  name: true,
  version: true,
  summary: true,
  source: true,
  options: true,
  worksWith: true,
  pure: true,
  needs: true,
  rejected: true,
  examples: true,
  reads: true,
  measures: true,
  tunable: true,
  hidden: true,
  takesAdapters: true,
  takesWeights: true,
  recorded: true,
};
const identityKeys = Object.keys(identity) as readonly (keyof PluginIdentity)[];

/**
 * What came in a package is looked at to the byte before any of it runs.
 * @throws RLRF_PLUGIN_IMPORT, RLRF_PLUGIN_STALE; of a package: RLRF_PACKAGE_INTEGRITY, RLRF_PACKAGE_UNTRUSTED and their like
 */
export async function loadPlugin(entry: PluginEntry): Promise<PluginClass> {
  if (entry.plugin !== undefined) return entry.plugin;
  if (entry.package !== undefined) await entry.package.verify();
  else if (existsSync(entry.file) && (await sourceDigest(entry.file)) !== entry.sha256)
    throw stale(entry, "its source has changed since the registry was written");
  const module = await importModule(entry.module, `${entry.kind}/${entry.name}`);
  const found = Object.values(module)
    .filter(isClass)
    .find((candidate) => {
      const identity = identityOf(candidate);
      return identity?.kind === entry.kind && identity.name === entry.name;
    });
  if (found === undefined) throw stale(entry, "its module exports no class under that decorator");
  const identity = identityOf(found);
  const differs = identityKeys.find((key) => !isDeepStrictEqual(asJson(identity?.[key]), entry[key]));
  if (differs !== undefined) throw stale(entry, `its "${differs}" is not the registry's`);
  return found;
}

/** As it would stand in the manifest. */
function asJson(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

function stale(entry: PluginEntry, why: string): RlrfError {
  return new RlrfError("RLRF_PLUGIN_STALE", {
    message: `stale registry: ${entry.kind}/${entry.name}: ${why}`,
    where: `${entry.module}, registered in ${entry.manifest}`,
    hint: "`npm run build` compiles the plugins, `npm run registry` describes them anew",
  });
}
