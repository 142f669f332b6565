/** What `npm install` gives a package beside this checkout: rlrf4rec as a link to it, and the tools that package.json asks for. */
import fs from "node:fs/promises";
import { dirname, join } from "node:path";
import { packageRoot } from "../../framework/setup/paths.js";

export async function installLinked(folder: string): Promise<void> {
  const modules = join(folder, "node_modules");
  const { devDependencies } = JSON.parse(await fs.readFile(join(folder, "package.json"), "utf8")) as { devDependencies: object };
  for (const name of Object.keys(devDependencies).filter((tool) => tool !== "rlrf4rec")) {
    await fs.mkdir(dirname(join(modules, name)), { recursive: true });
    await fs.symlink(join(packageRoot, "node_modules", name), join(modules, name));
  }
  await fs.symlink(packageRoot, join(modules, "rlrf4rec"));
  await fs.mkdir(join(modules, ".bin"));
  for (const name of ["tsc", "mocha"]) await fs.symlink(join(packageRoot, "node_modules", ".bin", name), join(modules, ".bin", name));
  await fs.symlink(join(packageRoot, "framework", "cli", "rlrf.mjs"), join(modules, ".bin", "rlrf"));
}
