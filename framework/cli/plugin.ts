/** `rlrf plugin …`: packages of plugins, from others and for others (docs/sharing.md). The project is the folder it is called in. */
import { relative } from "node:path";
import type { Command } from "commander";
import type { Added } from "../sharing/install.js";
import { jsonOption, type Register } from "./command.js";
import { print, printJson, table } from "./terminal.js";

interface Source {
  readonly registry?: string;
  readonly offline?: boolean;
  readonly json?: boolean;
}

export const register: Register = (program) => {
  const plugin = program.command("plugin").description("add, pin, check and publish packages of plugins");
  sourceOptions(plugin.command("add").description("fetch, check and lock a package: a name, tarball, folder, URL or git address"))
    .argument("<package>")
    .option("--trust", "write into registry/trust.json that this package may be loaded")
    .action(add);
  sourceOptions(plugin.command("update").description("ask again for what each package was added as"))
    .argument("[package...]")
    .action(update);
  sourceOptions(plugin.command("install").description("fetch what registry/lock.json names, to the byte")).action(install);
  plugin.command("remove").description("take a package out of the project").argument("<package>").action(remove);
  jsonOption(plugin.command("list").description("the packages of the project, and their plugins")).action(list);
  jsonOption(plugin.command("verify").description("compare every file with the lock, and signatures with the keyring")).action(verify);
  const key = ["--key <file>", "sign with this private key (`rlrf plugin keygen` makes one)"] as const;
  jsonOption(
    plugin
      .command("pack")
      .description("check a package and make its tarball")
      .argument("[folder]", "the package", ".")
      .option(...key),
  )
    .option("--out <folder>", "where the tarball goes", ".")
    .action(pack);
  jsonOption(
    plugin
      .command("publish")
      .description("pack and publish with npm")
      .argument("[folder or tarball]", "the package", ".")
      .option(...key),
  )
    .option("--registry <url>", "npm's own choice when left out")
    .option("--tag <name>", "npm's dist-tag")
    .action(publish);
  plugin
    .command("keygen")
    .description("make a key to sign packages with; prints its public half")
    .argument("<file>", "where the private half goes")
    .action(keygen);
  plugin
    .command("trust")
    .description('let packages be loaded: one, or "@team/*"')
    .argument("<package>")
    .option("--key <name=ed25519:…>", "only when this key has signed them")
    .action(trust);
};

function sourceOptions(command: Command): Command {
  return jsonOption(
    command
      .option("--registry <url or folder>", "an npm registry, or a static one")
      .option("--offline", "take what this machine has already"),
  );
}

async function project() {
  const { projectAt } = await import("../sharing/project.js");
  return projectAt();
}

async function add(spec: string, options: Source & { readonly trust?: boolean }): Promise<void> {
  const { addPackage } = await import("../sharing/install.js");
  const added = await addPackage(await project(), spec, options);
  if (options.json) return printJson(added);
  print(said(added));
  for (const [id, { version }] of Object.entries(added.locked.plugins)) print(`  ${id} ${version}`);
}

async function update(names: readonly string[], options: Source): Promise<void> {
  const { updatePackages } = await import("../sharing/install.js");
  const changes = await updatePackages(await project(), names, options);
  if (options.json) printJson(changes);
  else for (const change of changes) print(said(change));
}

function said({ name, before, locked, signer }: Added): string {
  const { version } = locked;
  const what =
    before === null ? `${name} ${version} added` : before === version ? `${name} ${version} as before` : `${name} ${before} -> ${version}`;
  return signer === null ? what : `${what}, signed by ${signer}`;
}

async function install(options: Source): Promise<void> {
  const { installLocked } = await import("../sharing/install.js");
  const fetched = await installLocked(await project(), options);
  if (options.json) printJson(fetched);
  else print(fetched.length === 0 ? "everything that is locked is here" : fetched.map((name) => `${name} installed`).join("\n"));
}

async function remove(name: string): Promise<void> {
  const { removePackage } = await import("../sharing/install.js");
  await removePackage(await project(), name);
  print(`${name} removed`);
}

async function list({ json }: { json?: boolean }): Promise<void> {
  const { lockedPackages } = await import("../sharing/install.js");
  const packages = await lockedPackages(await project());
  if (json) return printJson(packages.map(({ name, locked }) => ({ name, ...locked })));
  if (packages.length === 0) return print("this project uses no packages of plugins: `rlrf plugin add` adds one");
  print(table(packages.map(({ name, locked }) => [name, locked.version, locked.from, Object.keys(locked.plugins).join(", ")])));
}

/** Goes on after a package that fails, so that all of them are told. */
async function verify({ json }: { json?: boolean }): Promise<void> {
  const { lockedPackages } = await import("../sharing/install.js");
  const { RlrfError } = await import("../errors.js");
  const { AlreadyReported } = await import("./command.js");
  const verdicts: { name: string; version: string; ok: boolean; code?: string }[] = [];
  for (const installed of await lockedPackages(await project())) {
    const { name, locked } = installed;
    try {
      await installed.verify();
      verdicts.push({ name, version: locked.version, ok: true });
      if (!json) print(`ok  ${name} ${locked.version}  ${locked.integrity.slice(0, 23)}…`);
    } catch (error) {
      if (!(error instanceof RlrfError)) throw error;
      verdicts.push({ name, version: locked.version, ok: false, code: error.code });
      process.stderr.write(`${error.message}\n\n`);
    }
  }
  if (json) printJson(verdicts);
  if (verdicts.some(({ ok }) => !ok)) throw new AlreadyReported(2);
}

async function trust(pattern: string, { key }: { key?: string }): Promise<void> {
  const { addTrust } = await import("../sharing/trust.js");
  const [name = "", ...publicKey] = key?.split("=") ?? [];
  const { trust: path } = await project();
  await addTrust(path, pattern, key === undefined ? undefined : { name, publicKey: publicKey.join("=") });
  print(`${pattern} may be loaded${key === undefined ? "" : `, signed by ${name}`}`);
}

async function pack(folder: string, { json, ...options }: { out: string; key?: string; json?: boolean }): Promise<void> {
  const { packFolder } = await import("../sharing/pack.js");
  const packed = await packFolder(folder, options);
  if (json) return printJson(packed);
  print(`${relative(process.cwd(), packed.tarball)}  ${packed.integrity.slice(0, 23)}…${signedText(packed.signedBy)}`);
}

async function publish(path: string, options: { key?: string; registry?: string; tag?: string; json?: boolean }): Promise<void> {
  const { publishPackage } = await import("../sharing/pack.js");
  const { tarball: _, ...packed } = await publishPackage(path, options);
  if (options.json) return printJson(packed);
  print(`${packed.name} ${packed.version} published  ${packed.integrity.slice(0, 23)}…${signedText(packed.signedBy)}`);
}

function signedText(key: string | null): string {
  return key === null ? "" : `, signed by ${key}`;
}

async function keygen(file: string): Promise<void> {
  const { createKey, writePrivateKey } = await import("../sharing/signature.js");
  const { privateKey, publicKey } = createKey();
  await writePrivateKey(file, privateKey);
  print(publicKey);
}
