/** `rlrf new plugin KIND NAME`: the beginning of a plugin, which works. */
import { relative } from "node:path";
import { jsonOption, type Register } from "./command.js";
import { print, printJson } from "./terminal.js";

export const register: Register = (program) => {
  const create = program
    .command("new")
    .description("write the beginning of something of your own")
    .command("plugin")
    .description("write a package with a plugin, or one more plugin into a package")
    .argument("<kind>", "as `rlrf list` shows them: loss, reward, …")
    .argument("<name>", "@team/package/name, package/name or name")
    .option("--out <folder>", "where the package is or goes; else a folder of its name");
  jsonOption(create).action(async (kind: string, name: string, { out, json }: { out?: string; json?: boolean }) => {
    const { pluginKind } = await import("../kernel/registry.js");
    const { createPlugin } = await import("../sharing/scaffold.js");
    const made = await createPlugin(pluginKind(kind), name, process.cwd(), out);
    if (json) return printJson(made);
    const folder = relative(process.cwd(), made.folder) || ".";
    for (const file of made.files) print(`${folder}/${file}`);
    print(`\n${made.plugin}: cd ${folder} && ${made.existing ? "" : "npm install && "}npm run build && npm test`);
  });
};
