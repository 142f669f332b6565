import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder that has package.json; this module runs from dist/, so it is found by walking up. */
export const packageRoot = findPackageRoot(dirname(fileURLToPath(import.meta.url)));

function findPackageRoot(folder: string): string {
  if (existsSync(join(folder, "package.json"))) return folder;
  const parent = dirname(folder);
  if (parent === folder) throw new Error("rlrf4rec runs outside its package: no package.json above it");
  return findPackageRoot(parent);
}

/** How another place is chosen for it. */
export const elsewhere = "set RLRF_HOME to a folder that can be written";

/** Where everything fetched or built for this machine lives: assets/, engine/, python/. Safe to delete. */
export function home(): string {
  return resolve(process.env.RLRF_HOME || join(homedir(), ".cache", "rlrf4rec"));
}
