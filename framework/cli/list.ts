import type { Register } from "./command.js";
import { jsonOption } from "./command.js";
import { print, printJson, table } from "./terminal.js";

/** `rlrf list [kind]`: which plugins there are. */
export const register: Register = (program) => {
  jsonOption(program.command("list").description("list the plugins, of one kind or all").argument("[kind]")).action(
    async (kind: string | undefined, { json }: { json?: boolean }) => {
      const { pluginKind, Registry } = await import("../kernel/registry.js");
      const plugins = (await Registry.read()).list(kind === undefined ? undefined : pluginKind(kind));
      if (json) printJson(plugins.map(({ kind: of, name, version, summary, source }) => ({ kind: of, name, version, summary, source })));
      else print(table(plugins.map((plugin) => [plugin.kind, plugin.name, plugin.version, plugin.summary])));
    },
  );
};
