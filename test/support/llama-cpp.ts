/** node-llama-cpp, an optional peer, installed for the tests that need it: once a machine, where its plugin looks for it. */
import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { runCommand } from "../../framework/setup/command.js";
import { peersFolder } from "../../framework/setup/peer.js";
import { withLock } from "../../framework/store/with-lock.js";
import { peer } from "../../plugins/llms/llama-cpp/binding.js";

/** The package and the binary for this machine's processor alone: with those for GPUs it is eight times as large. */
export async function installLlamaCpp(): Promise<void> {
  const folder = peersFolder();
  await mkdir(folder, { recursive: true });
  await withLock(join(folder, "lock"), async () => {
    if ((await installed(peer.name)) && (await installed(binary))) return;
    const packages = [peer.name, binary].map((name) => `${name}@${peer.version}`);
    const quiet = ["--ignore-scripts", "--omit=optional", "--omit=peer", "--no-audit", "--no-fund", "--loglevel=error"];
    await runCommand("npm", ["install", "--prefix", folder, ...quiet, ...packages], {
      limit: 10 * 60_000,
      purpose: `install ${peer.name}`,
    });
  });
}

const binary = `@node-llama-cpp/${{ win32: "win", darwin: "mac" }[process.platform as string] ?? "linux"}-${process.arch}${process.platform === "darwin" && process.arch === "arm64" ? "-metal" : ""}`;

async function installed(name: string): Promise<boolean> {
  const path = join(peersFolder(), "node_modules", name, "package.json");
  return existsSync(path) && (JSON.parse(await readFile(path, "utf8")) as { readonly version: string }).version === peer.version;
}
