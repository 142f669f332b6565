/** What a package holds, as digests: of each file, and of all of them together. */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join, sep } from "node:path";

/** Path with "/" -> sha512 of the file, base64. */
export type Tree = ReadonlyMap<string, string>;

/** In npm's form, "sha512-…". */
export function integrityOf(data: Uint8Array | string): string {
  return `sha512-${digest(data)}`;
}

function digest(data: Uint8Array | string): string {
  return createHash("sha512").update(data).digest("base64");
}

/** Links count as files that hold where they point to: whatever replaced a file is seen. */
export async function treeOf(folder: string): Promise<Tree> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const tree = new Map<string, string>();
  for (const entry of entries) {
    if (entry.isDirectory()) continue;
    const file = join(entry.parentPath, entry.name);
    const path = file
      .slice(folder.length + 1)
      .split(sep)
      .join("/");
    tree.set(path, entry.isFile() ? digest(await readFile(file)) : "no file");
  }
  return tree;
}

/** One digest of paths and contents, whatever the order in which they were found. */
export function digestOf(tree: Tree): string {
  const lines = [...tree].map(([path, hash]) => `${JSON.stringify(path)} ${hash}\n`);
  return integrityOf(lines.sort().join(""));
}
