/** A checkout of its own beside this one: the same compiled code and packages, but its own tfjs-node-gpu, without a binding. */
import { cp, mkdir, readdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { packageRoot } from "../../framework/setup/paths.js";

export async function makeCheckout(folder: string): Promise<void> {
  const packages = join(packageRoot, "node_modules");
  const scope = "@tensorflow";
  const own = "tfjs-node-gpu";
  await mkdir(join(folder, "node_modules", scope), { recursive: true });
  for (const name of await readdir(packages)) if (name !== scope) await symlink(join(packages, name), join(folder, "node_modules", name));
  for (const name of await readdir(join(packages, scope)))
    if (name !== own) await symlink(join(packages, scope, name), join(folder, "node_modules", scope, name));
  await cp(join(packages, scope, own), join(folder, "node_modules", scope, own), {
    recursive: true,
    filter: (path) => !/\/(lib|deps)$/.test(path.slice(packages.length)),
  });
  await cp(join(packageRoot, "dist", "framework"), join(folder, "dist", "framework"), { recursive: true });
  await mkdir(join(folder, "framework", "setup"), { recursive: true });
  await cp(join(packageRoot, "framework", "setup", "quiet.cc"), join(folder, "framework", "setup", "quiet.cc"));
  await cp(join(packageRoot, "package.json"), join(folder, "package.json"));
}
