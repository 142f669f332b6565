/**
 * `npm run registry`: writes what follows from the plugins' decorators and from the table of errors.
 * With arguments SOURCES BUILT MANIFEST it writes the manifest of plugins elsewhere, for RLRF_PLUGINS (docs/plugin-guide.md).
 */
import { realpathSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { pluginKinds } from "../contracts/kinds.js";
import { errorCodes, RlrfError } from "../errors.js";
import { packageRoot } from "../setup/paths.js";
import { editorSchema } from "../spec/editor-schema.js";
import { describePlugins } from "./manifest.js";
import type { Manifest } from "./registry.js";

/** Every generated file: its path in the package, and its text. */
export async function generate(root = packageRoot): Promise<ReadonlyMap<string, string>> {
  const manifest = await describePlugins(join(root, "plugins"), join(root, "dist", "plugins"), join(root, "registry"));
  return new Map([
    ["registry/plugins.json", json(manifest)],
    ["registry/experiment.schema.json", json(editorSchema(manifest.plugins))],
    ["registry/catalogue.md", catalogue(manifest)],
    ["docs/errors.md", errorsPage()],
  ]);
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function catalogue({ plugins }: Manifest): string {
  const parts = Object.keys(pluginKinds).flatMap((kind) => {
    const own = plugins.filter((plugin) => plugin.kind === kind);
    if (own.length === 0) return [];
    const rows = own.map(({ name, version, summary, source }) => `| \`${name}\` | ${version} | ${cell(summary)} | ${cell(source)} |`);
    return [`\n## ${kind}\n`, "| name | version | what | source |", "|---|---|---|---|", ...rows];
  });
  return `${["# Plugins", "", "Written by `npm run registry`. `rlrf describe KIND/NAME` shows a plugin's options.", ...parts].join("\n")}\n`;
}

function errorsPage(): string {
  const rows = Object.entries(errorCodes).map(([code, { exit, summary }]) => `| \`${code}\` | ${exit} | ${cell(summary)} |`);
  const intro = [
    "# Errors",
    "",
    "Written by `npm run registry` from framework/errors.ts. A command ends with status 2 when the user's input is wrong and with 1 when it failed for",
    "another reason; 130 after Ctrl-C. `RLRF_DEBUG=1` adds the stack.",
    "",
  ];
  return `${[...intro, "| code | status | meaning |", "|---|---|---|", ...rows].join("\n")}\n`;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}

/** The manifest of a package of plugins, with paths relative to itself. @throws RLRF_USAGE, RLRF_PLUGIN_IMPORT */
async function generateElsewhere(folders: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const [sources, built, manifest] = folders.map((path) => resolve(path));
  if (folders.length !== 3 || sources === undefined || built === undefined || manifest === undefined)
    throw new RlrfError("RLRF_USAGE", {
      message: `${folders.length} arguments were given`,
      expected: "none, or SOURCES BUILT MANIFEST: the folders of the plugins' sources and modules, and the file to write",
    });
  return new Map([[manifest, json(await describePlugins(sources, built, dirname(manifest)))]]);
}

async function main(args: readonly string[]): Promise<void> {
  for (const [path, text] of await (args.length === 0 ? generate() : generateElsewhere(args))) {
    const file = resolve(packageRoot, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    console.log(path);
  }
}

// A package that depends on this one runs the file through a link in its node_modules.
if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url))
  await main(process.argv.slice(2)).catch((error: unknown) => {
    console.error(error instanceof RlrfError ? error.message : error);
    process.exitCode = 1;
  });
