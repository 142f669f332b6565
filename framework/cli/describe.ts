import type { OptionSchema } from "../contracts/plugin.js";
import type { PluginEntry } from "../kernel/registry.js";
import type { Register } from "./command.js";
import { jsonOption } from "./command.js";
import { print, printJson } from "./terminal.js";

/** `rlrf describe KIND/NAME`: what a plugin is, and its options with defaults and units. */
export const register: Register = (program) => {
  const command = program.command("describe").description("show a plugin's summary, source and options").argument("<kind/name>");
  jsonOption(command).action(async (id: string, { json }: { json?: boolean }) => {
    const { Registry, splitId } = await import("../kernel/registry.js");
    const registry = await Registry.read();
    const entry = registry.find(...splitId(id, registry.list()));
    if (json) printJson(entry);
    else print(await describeText(entry));
  });
};

export async function describeText(entry: PluginEntry): Promise<string> {
  const [{ expectation }, { optionLines }] = await Promise.all([import("../spec/expectation.js"), import("../spec/option-text.js")]);
  const options = optionLines(entry.options).flatMap(({ name, takes, state, description }) => [
    `  ${name}: ${takes}; ${state}`,
    ...(description === undefined ? [] : [`      ${description}`]),
  ]);
  const partners = Object.entries(entry.worksWith ?? {}).map(([kind, known]) => {
    const named = Object.entries(known).map(([name, only]) => [
      name,
      ...Object.keys(only).map((option) => `(${option} ${said(only[option])})`),
    ]);
    return `${kind}: ${named.map((words) => words.join(" ")).join(", ")}`;
  });
  function said(schema: OptionSchema | undefined): string {
    return schema === undefined || "const" in schema ? `= ${JSON.stringify(schema?.const)}` : expectation(schema);
  }
  return [
    `${entry.kind}/${entry.name} ${entry.version}`,
    entry.summary,
    `source   ${entry.source}`,
    `module   ${entry.module}`,
    ...(entry.package === undefined ? [] : [`package  ${entry.package.name} ${entry.package.locked.version}`]),
    ...partners.map((line) => `takes    ${line}`),
    ...adaptersLine(entry),
    "",
    ...(options.length === 0 ? ["no options"] : ["options", ...options]),
  ].join("\n");
}

function adaptersLine({ takesAdapters: when }: PluginEntry): string[] {
  if (when === undefined) return [];
  const only = when === true ? [] : Object.entries(when).map(([option, value]) => `${option} = ${JSON.stringify(value)}`);
  return [`samples  with adapters that another LLM is tuned to (llm.sampler)${only.length > 0 ? `, with ${only.join(", ")}` : ""}`];
}
