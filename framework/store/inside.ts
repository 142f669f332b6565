import { isAbsolute, relative } from "node:path";

/** Whether a path is the folder's own or lies below it, by name alone: links are not followed. */
export function isInside(folder: string, path: string): boolean {
  const inner = relative(folder, path);
  return inner !== ".." && !/^\.\.[\\/]/.test(inner) && !isAbsolute(inner);
}
