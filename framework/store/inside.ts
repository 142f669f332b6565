import { isAbsolute, relative } from "node:path";

/** Whether a path lies below a folder, by name alone: links are not followed. The folder itself does not. */
export function isInside(folder: string, path: string): boolean {
  const inner = relative(folder, path);
  return inner !== "" && inner !== ".." && !/^\.\.[\\/]/.test(inner) && !isAbsolute(inner);
}
