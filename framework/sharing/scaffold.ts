/** `rlrf new plugin`: a package that builds, keeps the contract of its kind and can be published as it is; or one more plugin in one. */
import { existsSync, readFileSync } from "node:fs";
import { basename, join, relative, resolve, sep } from "node:path";
import { type PluginKind, pluginKinds } from "../contracts/kinds.js";
import { RlrfError } from "../errors.js";
import { isPluginName } from "../kernel/manifest-file.js";
import { packageRoot } from "../setup/paths.js";
import { writeAtomic } from "../store/files.js";
import { frameworkName, readPackage } from "./package.js";
import { signatureFile } from "./signature.js";

export interface Scaffolded {
  readonly folder: string;
  readonly package: string;
  readonly plugin: string;
  /** Relative to the folder. */
  readonly files: readonly string[];
  /** Whether the package was there already. */
  readonly existing: boolean;
}

/**
 * @param name "@team/losses/my-dpo", "losses/my-dpo" or "my-dpo"
 * @param out where the package is or goes; else a folder of its name below `at`
 * @throws RLRF_USAGE, RLRF_PACKAGE_NAME when the folder holds another package, RLRF_PACKAGE_FORM
 */
export async function createPlugin(kind: PluginKind, name: string, at: string, out?: string): Promise<Scaffolded> {
  const names = namesOf(name);
  const folder = resolve(at, out ?? basename(names.package));
  const existing = existsSync(join(folder, "package.json"));
  if (existing && (await readPackage(folder)).name !== names.package)
    throw new RlrfError("RLRF_PACKAGE_NAME", {
      message: `${folder} is another package: ${(await readPackage(folder)).name}`,
      expected: names.package,
      hint: "--out names another folder; a plugin's name begins with its package's",
    });
  const files = new Map([...(existing ? [] : packageFiles(names.package, folder)), ...pluginFiles(kind, names)]);
  const taken = [...files.keys()].find((path) => existsSync(join(folder, path)));
  if (taken !== undefined)
    throw new RlrfError("RLRF_USAGE", {
      message: `${taken} is there already`,
      where: folder,
      expected: "the name of a new plugin, or an empty folder",
    });
  for (const [path, text] of files) await writeAtomic(join(folder, path), text);
  return { folder, package: names.package, plugin: names.plugin, files: [...files.keys()], existing };
}

interface Names {
  readonly package: string;
  readonly plugin: string;
  /** The last part: of files. */
  readonly file: string;
}

function namesOf(name: string): Names {
  if (!isPluginName(name))
    throw new RlrfError("RLRF_USAGE", {
      message: `${JSON.stringify(name)} is no name of a plugin`,
      expected: "kebab-case, e.g. @team/losses/my-dpo",
    });
  const parts = name.split("/");
  const file = parts.at(-1) ?? "";
  if (parts.length === 1) return { package: `rlrf-${name}`, plugin: `rlrf-${name}/${name}`, file };
  const own = parts.slice(0, name.startsWith("@") ? 2 : 1).join("/");
  if (own === name)
    throw new RlrfError("RLRF_USAGE", { message: `"${name}" is the name of a package`, expected: `a plugin of it: ${name}/NAME` });
  return { package: own, plugin: name, file };
}

function pluginFiles(kind: PluginKind, { plugin, file }: Names): [path: string, text: string][] {
  const template = readFileSync(join(packageRoot, "framework", "templates", `${kind}.ts`), "utf8");
  const plain = pascalCase(file);
  // The template may import what the class would be called.
  const className = new RegExp(`\\b${plain}\\b`).test(template) ? `${plain}Plugin` : plain;
  const source = template.replaceAll("@team/package/name", plugin).replace(/\bTemplate(?=Options\b|\b)/g, className);
  const { folder } = pluginKinds[kind];
  const contract = `${camelCase(kind)}Contract`;
  const test = `import { ${contract}, startEngine } from "rlrf4rec/testing";
import { ${className} } from "../../plugins/${folder}/${file}.js";

before(() => startEngine("cpu"));

${contract}({ plugin: ${className} });
`;
  return [
    [`plugins/${folder}/${file}.ts`, source],
    [`test/${folder}/${file}.test.ts`, test],
  ];
}

function packageFiles(name: string, folder: string): [path: string, text: string][] {
  const { version, devDependencies } = JSON.parse(readFileSync(join(packageRoot, "package.json"), "utf8")) as {
    version: string;
    devDependencies: Readonly<Record<string, string>>;
  };
  const tools = ["@types/mocha", "@types/node", "mocha", "typescript"].map((tool) => [tool, `^${devDependencies[tool]}`]);
  const framework = relative(folder, packageRoot).split(sep).join("/");
  const packageJson = {
    name,
    version: "1.0.0",
    type: "module",
    files: ["dist/plugins", "plugins", "plugins.json", signatureFile],
    exports: { "./plugins.json": "./plugins.json", "./*": { types: "./dist/plugins/*.d.ts", default: "./dist/plugins/*.js" } },
    rlrf: { plugins: "./plugins.json" },
    scripts: {
      build: `tsc -p . && node node_modules/${frameworkName}/dist/framework/kernel/generate.js plugins dist/plugins plugins.json`,
      test: 'mocha "dist/test/**/*.test.js"',
    },
    peerDependencies: { [frameworkName]: `^${version}` },
    // Only here, where the package is written: whoever uses it has a framework already.
    devDependencies: { ...Object.fromEntries(tools), [frameworkName]: `file:${framework}` },
  };
  const compilerOptions = {
    ...{ target: "es2022", module: "nodenext", rootDir: ".", outDir: "dist", types: ["node", "mocha"] },
    ...{ declaration: true, strict: true, skipLibCheck: true, experimentalDecorators: true },
  };
  return [
    ["package.json", json(packageJson)],
    ["tsconfig.json", json({ compilerOptions, include: ["plugins", "test"] })],
    [".npmrc", "ignore-scripts=true\n"],
    [".gitignore", `node_modules\ndist\n${signatureFile}\n`],
    ["README.md", readme(name)],
  ];
}

function readme(name: string): string {
  return `# ${name}

Plugins for rlrf4rec. \`plugins/\` holds a file a plugin, \`test/\` the contract of its kind.

    npm install
    npm run build
    npm test

\`npx rlrf new plugin KIND ${name}/NAME --out .\` adds another plugin, \`npx rlrf plugin pack\` makes the tarball that others add to their projects, and
\`npx rlrf plugin publish\` hands it to npm.
`;
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function camelCase(text: string): string {
  return text.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}

function pascalCase(text: string): string {
  const joined = camelCase(text);
  return /^\d/.test(joined) ? `Plugin${joined}` : `${joined[0]?.toUpperCase()}${joined.slice(1)}`;
}
