/** `rlrf registry build DIR [PACKAGE…]`: a static registry, for `rlrf plugin add --registry`. */
import { jsonOption, type Register } from "./command.js";
import { print, printJson } from "./terminal.js";

export const register: Register = (program) => {
  const registry = program.command("registry").description("make a registry of packages that any web server serves");
  const build = registry
    .command("build")
    .description("put packages into a folder, with index.json and a page; without any, those of registry/lock.json")
    .argument("<folder>")
    .argument("[package...]", "names, tarballs, folders, URLs, git addresses")
    .option("--registry <url or folder>", "where names are looked up")
    .option("--offline", "take what this machine has already");
  jsonOption(build).action(
    async (folder: string, specs: readonly string[], options: { registry?: string; offline?: boolean; json?: boolean }) => {
      const { buildRegistry } = await import("../sharing/build-registry.js");
      const { projectAt } = await import("../sharing/project.js");
      const index = await buildRegistry(folder, specs, projectAt(), options);
      if (options.json) return printJson(index);
      for (const [name, versions] of Object.entries(index.packages)) print(`${name} ${Object.keys(versions).join(", ")}`);
      print(`${folder}: index.json, index.html, packages/`);
    },
  );
};
