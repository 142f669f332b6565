/** Where a project keeps what it knows of the packages of plugins that it uses. The project is the folder in which `rlrf` is called. */
import { join, resolve } from "node:path";

export interface Project {
  readonly folder: string;
  /** Which packages, exactly: for version control. */
  readonly lock: string;
  /** Whose packages may be loaded: for version control. */
  readonly trust: string;
  /** The unpacked packages: made again from the lock by `rlrf plugin install`. */
  readonly packages: string;
}

export function projectAt(path: string = process.cwd()): Project {
  const folder = resolve(path);
  return {
    folder,
    lock: join(folder, "registry", "lock.json"),
    trust: join(folder, "registry", "trust.json"),
    packages: join(folder, ".rlrf", "plugins"),
  };
}
