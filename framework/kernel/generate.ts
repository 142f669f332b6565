/**
 * `npm run registry`: writes what follows from the plugins' decorators and from the table of errors.
 * With arguments SOURCES BUILT MANIFEST it writes the manifest of plugins elsewhere, for RLRF_PLUGINS (docs/plugin-guide.md).
 */
import { realpathSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { errorCodes, RlrfError } from "../errors.js";
import { packageRoot } from "../setup/paths.js";
import { editorSchema } from "../spec/editor-schema.js";
import { catalogue, cell, type Proof } from "./catalogue.js";
import { describePlugins } from "./manifest.js";

/** Every generated file: its path in the package, and its text. */
export async function generate(root = packageRoot): Promise<ReadonlyMap<string, string>> {
  const manifest = await describePlugins(join(root, "plugins"), join(root, "dist", "plugins"), join(root, "registry"));
  return new Map([
    ["registry/plugins.json", json(manifest)],
    ["registry/experiment.schema.json", json(editorSchema(manifest.plugins))],
    ["registry/catalogue.md", catalogue(manifest.plugins, await readProofs(root))],
    ["docs/errors.md", errorsPage()],
  ]);
}

/** registry/oracles.json, written by hand beside the tests that it names. */
export async function readProofs(root = packageRoot): Promise<readonly Proof[]> {
  return JSON.parse(await readFile(join(root, "registry", "oracles.json"), "utf8")) as readonly Proof[];
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
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
