/** What a module imports from beside it, without running it: what its results depend on besides packages. */
import { statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";

const relativeImport = /\b(?:from|import)\s*\(?\s*["'](\.{1,2}\/[^"']+)["']/g;

/**
 * @param file a TypeScript source or a JavaScript module
 * @param see is shown every path that is imported, before it is followed
 * @returns it, and what it imports by relative paths, and so on
 */
export async function withImports(file: string, see: (path: string) => void = () => {}, seen: string[] = []): Promise<readonly string[]> {
  seen.push(file);
  const text = await readFile(file, "utf8");
  for (const [, path = ""] of text.matchAll(relativeImport)) {
    const imported = resolve(dirname(file), file.endsWith(".ts") ? path.replace(/\.js$/, ".ts") : path);
    see(imported);
    if (!seen.includes(imported) && isFile(imported)) await withImports(imported, see, seen);
  }
  return seen;
}

export function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}
